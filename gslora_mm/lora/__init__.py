"""LoRA groups in plain torch: nothing here imports mm*."""
from .adapter_file import load_adapter, save_adapter
from .groups import LoRAGroups
from .inject import LoRATarget, find_targets, freeze_base, inject_lora
from .layer import LoRALinear, lora_disabled, lora_layers, reset_lora
from .no_groups import NoGroups
from .patterns import select
from .state import (drop_zero_groups, fingerprint, is_lora_key,
                    merge_state_dict, split_state_dict, tensor_digests)
from .table import count_parameters, target_table

__all__ = [
    'LoRAGroups', 'LoRALinear', 'LoRATarget', 'NoGroups', 'count_parameters',
    'drop_zero_groups', 'find_targets', 'fingerprint', 'freeze_base',
    'inject_lora', 'is_lora_key', 'load_adapter', 'lora_disabled',
    'lora_layers', 'merge_state_dict', 'reset_lora', 'save_adapter', 'select',
    'split_state_dict', 'target_table', 'tensor_digests'
]
