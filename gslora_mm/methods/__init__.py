from .base import ForgettingMethod, other_labels
from .counterfactual_features import CounterfactualFeatures
from .counterfactual_teacher import CounterfactualTeacher
from .delete import DELETE
from .der import DER
from .distances import (distance, distillation, masked_distillation,
                        square_distance)
from .ewc import EWC
from .fdr import FDR
from .fine_tune import FineTune
from .gradient_ascent import GradientAscent
from .group_sparsity import GroupSparsity
from .gs_lora import GSLoRA
from .gs_lora_pp import GSLoRAPlusPlus
from .head_distillation import HeadDistillation
from .l2 import L2
from .lirf import LIRF
from .lwf import LwF
from .mas import MAS
from .output_filter import OutputFilter
from .prototype_distances import DISTANCES
from .prototype_file import Prototypes, load_prototypes
from .random_labels import RandomLabels
from .retrain import Retrain
from .row_reset import RowReset
from .salun import SalUn
from .scrub import SCRUB
from .springs import Springs

__all__ = [
    'CounterfactualFeatures', 'CounterfactualTeacher', 'DELETE', 'DER',
    'DISTANCES', 'EWC', 'FDR', 'FineTune', 'ForgettingMethod', 'GSLoRA',
    'GSLoRAPlusPlus', 'GroupSparsity', 'GradientAscent', 'HeadDistillation',
    'L2', 'LIRF', 'LwF', 'MAS', 'OutputFilter', 'Prototypes', 'RandomLabels',
    'Retrain', 'RowReset', 'SCRUB', 'SalUn', 'Springs', 'distance',
    'distillation', 'load_prototypes', 'masked_distillation', 'other_labels',
    'square_distance'
]
