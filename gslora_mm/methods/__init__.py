from .base import ForgettingMethod
from .gs_lora import GSLoRA
from .gs_lora_pp import GSLoRAPlusPlus
from .prototype_distances import DISTANCES
from .prototype_file import Prototypes, load_prototypes

__all__ = [
    'DISTANCES', 'ForgettingMethod', 'GSLoRA', 'GSLoRAPlusPlus', 'Prototypes',
    'load_prototypes'
]
