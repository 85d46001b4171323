from .base import ForgettingMethod
from .gs_lora import GSLoRA

__all__ = ['ForgettingMethod', 'GSLoRA']
