from .base import ForgettingMethod, other_labels
from .der import DER
from .distances import distillation, square_distance
from .ewc import EWC
from .fine_tune import FineTune
from .gs_lora import GSLoRA
from .gs_lora_pp import GSLoRAPlusPlus
from .lwf import LwF
from .output_filter import OutputFilter
from .prototype_distances import DISTANCES
from .prototype_file import Prototypes, load_prototypes
from .row_reset import RowReset

__all__ = [
    'DER', 'DISTANCES', 'EWC', 'FineTune', 'ForgettingMethod', 'GSLoRA',
    'GSLoRAPlusPlus', 'LwF', 'OutputFilter', 'Prototypes', 'RowReset',
    'distillation', 'load_prototypes', 'other_labels', 'square_distance'
]
