from .errors import DivergedError, ForgetError
from .files import atomic_path, read_json, write_json
from .forms import COUNT, EVERY, MEASURED, NUMBER, check_form, read_form
from .shown import shown

__all__ = [
    'COUNT', 'DivergedError', 'EVERY', 'ForgetError', 'MEASURED', 'NUMBER',
    'atomic_path', 'check_form', 'read_form', 'read_json', 'shown',
    'write_json'
]
