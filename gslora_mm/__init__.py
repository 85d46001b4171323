"""Class forgetting for OpenMMLab models by Group Sparse LoRA."""
from .utils.image_limit import MAX_PIXELS
from .utils.mim import register_configs
from .utils.safe_load import allow_mmengine_globals
from .version import __version__

allow_mmengine_globals()
register_configs()

__all__ = ['MAX_PIXELS', '__version__']
