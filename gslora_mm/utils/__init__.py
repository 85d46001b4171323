from .errors import DivergedError, ForgetError
from .files import atomic_path, read_json, write_json

__all__ = [
    'DivergedError', 'ForgetError', 'atomic_path', 'read_json', 'write_json'
]
