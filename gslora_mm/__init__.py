"""Class forgetting for OpenMMLab models by Group Sparse LoRA."""
import os

# Read when OpenCV loads. An image of few bytes can claim a billion pixels;
# 2 ** 27 of them are 400 MB in memory.
os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(2**27))

from .utils.mim import register_configs
from .utils.safe_load import allow_mmengine_globals
from .version import __version__

allow_mmengine_globals()
register_configs()

__all__ = ['__version__']
