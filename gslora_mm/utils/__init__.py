from .errors import DivergedError, ForgetError
from .files import (UNWRITABLE, atomic_path, read_json, sync, write_bytes,
                    write_json, write_text, write_torch)
from .stopping import Stopped

__all__ = [
    'DivergedError', 'ForgetError', 'Stopped', 'UNWRITABLE', 'atomic_path',
    'read_json', 'sync', 'write_bytes', 'write_json', 'write_text',
    'write_torch'
]
