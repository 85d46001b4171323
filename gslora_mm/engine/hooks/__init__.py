from .base_weights_hook import BaseWeightsHook
from .epoch_seed_hook import EpochSeedHook
from .loss_guard_hook import LossGuardHook
from .method_hook import MethodHook, lora_lr
from .progress_hook import ProgressHook

__all__ = [
    'BaseWeightsHook', 'EpochSeedHook', 'LossGuardHook', 'MethodHook',
    'ProgressHook', 'lora_lr'
]
