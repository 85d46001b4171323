from . import hooks
from .config_file import read_config
from .launch import init_launcher, leave_launcher
from .sequence import ForgettingSequence
from .settings import ForgetSettings
from .train_loop import StoppableTrainLoop

__all__ = [
    'ForgetSettings', 'ForgettingSequence', 'StoppableTrainLoop', 'hooks',
    'init_launcher', 'leave_launcher', 'read_config'
]
