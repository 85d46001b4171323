from .base import CheckpointFormat
from .formats import FORMATS, convert, detect_format

__all__ = ['CheckpointFormat', 'FORMATS', 'convert', 'detect_format']
