"""Checking that what a file holds has the form it is read as."""
import math
import numbers

from .errors import ForgetError
from .files import read_json
from .shown import shown

#: Forms of single values, beside types. A measured number is None where there
#: was nothing to measure.
NUMBER, COUNT = 'a finite number', 'a whole number from 0'
MEASURED = 'a finite number or null'
_HUGE = 1e300
#: Key of a form for all values of a dict, whatever their keys.
EVERY = '*'


def check_form(content, form, where):
    """Check nested content that came from a file.

    Args:
        content (object): The content.
        form (object): A dict of keys and their forms (a key that ends with
            ``?`` may be absent or None, others of the content are ignored)
            or of :data:`EVERY` alone; a list of one form, that of every
            entry; a type or tuple of types; :data:`NUMBER`, :data:`COUNT` or
            :data:`MEASURED`.
        where (str): What the content is, for the message.

    Raises:
        ForgetError: Naming the key.
    """
    fault = _fault(content, form, '')
    if fault:
        raise ForgetError(f'{where} is damaged: {fault}; restore or remove it')


def read_form(path, form):
    """Read a JSON file and check it; see :func:`check_form`.

    Args:
        path (str | Path): The file.
        form (object): What it must hold.

    Returns:
        object: Its content.

    Raises:
        ForgetError: If it is missing, no JSON or of another form.
    """
    content = read_json(path)
    check_form(content, form, str(path))
    return content


def _fault(content, form, key):
    """The first thing that is wrong, in words; None if nothing is."""
    if isinstance(form, dict):
        return _key_fault(content, form, key)
    if isinstance(form, list):
        if not isinstance(content, list):
            return _wrong(content, 'a list', key)
        found = (_fault(value, form[0], f'{key}[{place}]')
                 for place, value in enumerate(content))
        return next(filter(None, found), None)
    if isinstance(form, str):
        return None if _is_number(content, form) else _wrong(
            content, form, key)
    if isinstance(
            content,
            form) and not (isinstance(content, bool) and form in (int, float)):
        return None
    kinds = form if isinstance(form, tuple) else (form, )
    return _wrong(content, ' or '.join(kind.__name__ for kind in kinds), key)


def _key_fault(content, form, key):
    if not isinstance(content, dict):
        return _wrong(content, 'an object of keys and values', key)
    for name, inner, optional in _expected(content, form):
        path = f'{key}.{shown(name)}' if key else shown(name)
        if optional and content.get(name) is None:
            continue
        if name not in content:
            return f'{path} is missing'
        fault = _fault(content[name], inner, path)
        if fault:
            return fault
    return None


def _expected(content, form):
    """Key, form and whether it may be absent."""
    if EVERY in form:
        return [(name, form[EVERY], False) for name in content]
    return [(name.removesuffix('?'), inner, name.endswith('?'))
            for name, inner in form.items()]


def _is_number(content, form):
    if content is None:
        return form == MEASURED
    if isinstance(content, bool) or not isinstance(content, numbers.Real):
        return False
    if form == COUNT:
        return isinstance(content, int) and content >= 0
    try:
        return math.isfinite(content)
    except OverflowError:  # an integer beyond any float
        return False


def _wrong(content, wanted, key):
    found = type(content).__name__
    if isinstance(content, (int, float)):
        # Of an integer beyond any float not even the digits are to be had.
        found = 'huge' if abs(content) > _HUGE else f'{content!r}'
    return f'{key or "it"} is {found}, not {wanted}'
