"""The axes of a study, read and checked."""
import re

from ...utils import ForgetError
from ..config_checks import refuse_unknown
from .grid import Axis

_KEYS = ('option', 'values', 'prepare')
_PREPARE_KEYS = ('config', 'options')
# Names of values become names of folders.
_NAME = re.compile(r'[\w.+-]+')


def read_axis(name, content, folder):
    """Read one axis, in any of its three forms.

    Args:
        name (str): Its name.
        content (dict): ``option`` and ``values``; or ``files``; or options
            by the name of the value.
        folder (Path): What paths are relative to.

    Returns:
        Axis: The axis.

    Raises:
        ForgetError: If something is missing, unknown or contradictory.
    """
    where = f'axis {name!r} of the study'
    if not isinstance(content, dict):
        raise ForgetError(f'{where} is {content!r}; it must be a dict of '
                          'values')
    prepare, files, values = None, None, content
    if 'files' in content:
        files = _files(name, where, content)
        values = {value: {} for value in files}
    elif 'option' in content or 'values' in content:
        refuse_unknown(where, content, _KEYS)
        prepare, values = content.get('prepare'), _listed(where, content)
    if not values:
        raise ForgetError(f'{where} has no values; give at least one, or '
                          'remove the axis')
    values = {str(k): read_options(v, f'{k} of {where}')
              for k, v in values.items()}  # yapf: disable
    for text in (name, *values):
        if not _NAME.fullmatch(text):
            raise ForgetError(f'{where}: {text!r} cannot be part of the name '
                              'of a folder; use letters, digits, . + - _')
    if prepare is not None:
        prepare = _prepare(where, prepare, folder)
    return Axis(name, values, prepare, files)


def _files(name, where, content):
    """What every value puts into the base, by its name."""
    others = [str(key) for key in content if key != 'files']
    if others:
        raise ForgetError(f'{where} chooses files and has {others[0]!r}, too; '
                          'make it another axis, or remove it')
    files = content['files']
    if not isinstance(files, dict):
        raise ForgetError(f'{where} chooses files by {files!r}; give what '
                          f'each value puts in the place of {{{name}}} in '
                          "base, e.g. files={'full': '', 'few': '_4shot'}")
    for value, text in files.items():
        if not isinstance(text, str):
            raise ForgetError(f'{where} chooses {text!r} for {value}; give '
                              f'the text for {{{name}}} in base')
    return {str(value): text for value, text in files.items()}


def _listed(where, content):
    """Options by the name of the value, from keys and a list."""
    keys, values = content.get('option'), content.get('values')
    keys = [keys] if isinstance(keys, str) else keys
    if not keys or not isinstance(keys, list):
        raise ForgetError(f'{where} lists values but no option; name the '
                          'config key, e.g. option=\'forget.lora.rank\'')
    if not isinstance(values, list):
        raise ForgetError(f'{where} has no values; give a list of them')
    names = [str(value) for value in values]
    if len(set(names)) < len(names):
        raise ForgetError(f'{where} lists a value twice: {names}')
    return {n: {key: v for key in keys} for n, v in zip(names, values)}


def _prepare(where, prepare, folder):
    if not isinstance(prepare, dict):
        raise ForgetError(f'prepare of {where} must be dict(config=PATH, '
                          'options={...})')
    refuse_unknown(f'prepare of {where}', prepare, _PREPARE_KEYS)
    return dict(
        config=existing_file(
            prepare.get('config'), folder, f'prepare.config of {where}'),
        options=read_options(
            prepare.get('options', {}), f'prepare of {where}'))


def read_options(content, where):
    """Options of a config, as in ``--cfg-options``.

    Args:
        content (dict): Values by dotted key.
        where (str): What they are called.

    Returns:
        dict: The same with keys that are text.

    Raises:
        ForgetError: If it is no dict.
    """
    if not isinstance(content, dict):
        raise ForgetError(f'{where} is {content!r}; it must be a dict of '
                          "options such as {'forget.lora.rank': 4}")
    return {str(k): v for k, v in content.items()}


def existing_file(path, folder, where):
    """A file that a study names.

    Args:
        path (str): Its path, relative to the folder.
        folder (Path): Where the study lies.
        where (str): What names it.

    Returns:
        str: The path with the folder.

    Raises:
        ForgetError: If it is missing, in the study or on the disk.
    """
    if not isinstance(path, str):
        raise ForgetError(f'{where} is missing; name a config file')
    if not (folder / path).is_file():
        raise ForgetError(f'{where} is {path}, and there is no such file; '
                          'correct the path, relative to the study')
    return str(folder / path)
