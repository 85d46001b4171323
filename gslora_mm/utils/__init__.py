from .errors import DivergedError, ForgetError
from .files import (UNWRITABLE, atomic_path, copy_folder, read_json, sync,
                    write_bytes, write_json, write_text, write_torch)
from .forms import COUNT, EVERY, MEASURED, NUMBER, check_form, read_form
from .shown import counted, shown
from .stopping import Stopped

__all__ = [
    'COUNT', 'DivergedError', 'EVERY', 'ForgetError', 'MEASURED', 'NUMBER',
    'Stopped', 'UNWRITABLE', 'atomic_path', 'check_form', 'copy_folder',
    'counted', 'read_form', 'read_json', 'shown', 'sync', 'write_bytes',
    'write_json', 'write_text', 'write_torch'
]
