from .base_weights_hook import BaseWeightsHook
from .cpu_attention_hook import CPUAttentionHook
from .curve_hook import CurveHook
from .epoch_seed_hook import EpochSeedHook
from .lora_ema_hook import LoRAEMAHook
from .loss_guard_hook import LossGuardHook
from .method_hook import MethodHook, lora_lr
from .prepare_hook import PrepareHook
from .progress_hook import ProgressHook
from .stop_hook import StopHook
from .teacher_hook import TeacherHook

__all__ = [
    'BaseWeightsHook', 'CPUAttentionHook', 'CurveHook', 'EpochSeedHook',
    'LoRAEMAHook', 'LossGuardHook', 'MethodHook', 'PrepareHook',
    'ProgressHook', 'StopHook', 'TeacherHook', 'lora_lr'
]
