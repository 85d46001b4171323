from . import hooks
from .launch import init_launcher, leave_launcher
from .sequence import ForgettingSequence
from .settings import ForgetSettings, read_config

__all__ = [
    'ForgetSettings', 'ForgettingSequence', 'hooks', 'init_launcher',
    'leave_launcher', 'read_config'
]
