"""The config of a study, read and checked."""
import re
from pathlib import Path

from mmengine.config import Config

from ...utils import ForgetError
from ..config_checks import refuse_unknown
from .grid import Axis, Grid

_KEYS = ('name', 'seeds', 'options', 'axes')
_AXIS_KEYS = ('option', 'values', 'prepare')
_PREPARE_KEYS = ('config', 'options')
# Names of values become names of folders.
_NAME = re.compile(r'[\w.+-]+')


def read_study(path, options=None, seeds=None):
    """Read the config of a study.

    It holds ``base``, a path relative to it, and ``study``::

        study = dict(
            name='what the tables are called',
            seeds=[0, 1, 2],
            options={'forget.lora.rank': 4},  # of all runs
            axes=dict(
                # One key, or several that all take the value.
                alpha=dict(option='forget.method.alpha', values=[1, 10, 100]),
                # Values with names and any options.
                mode=dict(exact={'forget.method.mode': 'proximal'}, ...)))

    An axis in the first form may have ``prepare=dict(config=PATH,
    options={...})``: for each of its values a base model is pre-trained,
    with the ``model.*`` options of the runs and these.

    Args:
        path (str): The config file.
        options (dict, optional): Further options of all runs, as
            ``--cfg-options`` gave them.
        seeds (list[int], optional): Instead of those of the config.

    Returns:
        Grid: The study.

    Raises:
        ForgetError: If something is missing, unknown or contradictory.
    """
    cfg, folder = _read(path), Path(path).parent
    study = cfg.get('study')
    if not isinstance(study, dict):
        raise ForgetError(f'{path} is no study: it has no study section; see '
                          'configs/studies/ for examples')
    refuse_unknown(f'study of {path}', study, _KEYS)
    base = _existing(cfg.get('base'), folder, f'base of {path}')
    axes = study.get('axes')
    if not axes or not isinstance(axes, dict):
        raise ForgetError(f'{path} varies nothing; give study.axes, e.g. '
                          "dict(rank=dict(option='forget.lora.rank', "
                          'values=[4, 8]))')
    axes = [_axis(str(k), v, folder) for k, v in axes.items()]
    common = _options(study.get('options', {}), 'study.options')
    common.update(_flat(options or {}))
    _refuse_clashes(axes, _flat(options or {}))
    seeds = _seeds(study.get('seeds', [0]) if seeds is None else seeds)
    return Grid(study.get('name', Path(path).stem), base, axes, seeds, common)


def _read(path):
    """A config as plain containers; it is no run, so no scope is set."""
    try:
        return Config.fromfile(str(path)).to_dict()
    except Exception as err:  # a config is a program and raises all sorts
        reason = str(err).strip().splitlines() or [type(err).__name__]
        raise ForgetError(f'study {path} cannot be read: {reason[0]}; correct '
                          'the path or the config') from err


def _axis(name, content, folder):
    where = f'axis {name!r} of the study'
    if not isinstance(content, dict):
        raise ForgetError(f'{where} is {content!r}; it must be a dict of '
                          'values')
    prepare, values = None, content
    if 'option' in content or 'values' in content:
        refuse_unknown(where, content, _AXIS_KEYS)
        prepare, values = content.get('prepare'), _listed(where, content)
    if not values:
        raise ForgetError(f'{where} has no values; give at least one, or '
                          'remove the axis')
    values = {str(k): _options(v, f'{k} of {where}')
              for k, v in values.items()}  # yapf: disable
    for text in (name, *values):
        if not _NAME.fullmatch(text):
            raise ForgetError(f'{where}: {text!r} cannot be part of the name '
                              'of a folder; use letters, digits, . + - _')
    if prepare is not None:
        prepare = _prepare(where, prepare, folder)
    return Axis(name, values, prepare)


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
        config=_existing(
            prepare.get('config'), folder, f'prepare.config of {where}'),
        options=_options(prepare.get('options', {}), f'prepare of {where}'))


def _options(content, where):
    if not isinstance(content, dict):
        raise ForgetError(f'{where} is {content!r}; it must be a dict of '
                          "options such as {'forget.lora.rank': 4}")
    return _flat(content)


def _flat(options):
    return {str(k): v for k, v in options.items()}


def _existing(path, folder, where):
    if not isinstance(path, str):
        raise ForgetError(f'{where} is missing; name a config file')
    if not (folder / path).is_file():
        raise ForgetError(f'{where} is {path}, and there is no such file; '
                          'correct the path, relative to the study')
    return str(folder / path)


def _seeds(seeds):
    if not isinstance(seeds, list) or not seeds or any(
            isinstance(s, bool) or not isinstance(s, int) or s < 0
            for s in seeds):
        raise ForgetError(f'seeds of the study are {seeds!r}; give whole '
                          'numbers >= 0, e.g. [0, 1, 2]')
    return list(dict.fromkeys(seeds))


def _refuse_clashes(axes, given):
    """Nothing may be set by two axes, or by the command line over one."""
    if sum(bool(axis.prepare) for axis in axes) > 1:
        raise ForgetError('two axes of the study prepare a base model; only '
                          'one can')
    owner = {}
    for axis in axes:
        for key in {k for v in axis.values.values() for k in v}:
            if key in given:
                raise ForgetError(f'--cfg-options {key} is what axis '
                                  f'{axis.name!r} of the study varies')
            if owner.setdefault(key, axis.name) != axis.name:
                raise ForgetError(f'axes {owner[key]!r} and {axis.name!r} of '
                                  f'the study both set {key}')
