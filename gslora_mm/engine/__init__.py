from . import hooks
from .sequence import ForgettingSequence
from .settings import ForgetSettings, read_config

__all__ = ['ForgetSettings', 'ForgettingSequence', 'hooks', 'read_config']
