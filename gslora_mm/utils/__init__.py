from .errors import ForgetError
from .files import atomic_path, read_json, write_json

__all__ = ['ForgetError', 'atomic_path', 'read_json', 'write_json']
