from . import hooks
from .launch import init_launcher
from .sequence import ForgettingSequence
from .settings import ForgetSettings, read_config

__all__ = [
    'ForgetSettings', 'ForgettingSequence', 'hooks', 'init_launcher',
    'read_config'
]
