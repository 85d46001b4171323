from . import hooks
from .config_file import read_config
from .launch import init_launcher, leave_launcher
from .sequence import ForgettingSequence
from .settings import ForgetSettings

__all__ = [
    'ForgetSettings', 'ForgettingSequence', 'hooks', 'init_launcher',
    'leave_launcher', 'read_config'
]
