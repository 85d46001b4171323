"""The config of a study, read and checked."""
import re
from pathlib import Path

from mmengine.config import Config

from ...utils import ForgetError
from ..config_checks import refuse_unknown
from .axes import existing_file, read_axis, read_options
from .grid import Grid

_KEYS = ('name', 'seeds', 'options', 'axes')
_BRACES = re.compile(r'\{([^{}]*)\}')


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
                mode=dict(exact={'forget.method.mode': 'proximal'}, ...),
                # What stands for {setting} in base.
                setting=dict(files={'full': '', '4shot': '_4shot'})))

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
    cfg, folder = read_plain(path, 'study'), Path(path).parent
    study = cfg.get('study')
    if not isinstance(study, dict):
        raise ForgetError(f'{path} is no study: it has no study section; see '
                          'configs/studies/ for examples')
    refuse_unknown(f'study of {path}', study, _KEYS)
    axes = study.get('axes')
    if not axes or not isinstance(axes, dict):
        raise ForgetError(f'{path} varies nothing; give study.axes, e.g. '
                          "dict(rank=dict(option='forget.lora.rank', "
                          'values=[4, 8]))')
    axes = [read_axis(str(k), v, folder) for k, v in axes.items()]
    base = _base(cfg.get('base'), folder, f'base of {path}', axes)
    given = {str(k): v for k, v in (options or {}).items()}
    common = {**read_options(study.get('options', {}), 'study.options'),
              **given}  # yapf: disable
    _refuse_clashes(axes, given)
    seeds = check_seeds(study.get('seeds', [0]) if seeds is None else seeds)
    grid = Grid(study.get('name', Path(path).stem), base, axes, seeds, common)
    _check_files(grid)
    return grid


def read_plain(path, what):
    """A config as plain containers; it is no run, so no scope is set.

    Args:
        path (str): The file.
        what (str): What it is, for the message.

    Returns:
        dict: Its content.

    Raises:
        ForgetError: If it cannot be read.
    """
    try:
        return Config.fromfile(str(path)).to_dict()
    except Exception as err:  # a config is a program and raises all sorts
        reason = str(err).strip().splitlines() or [type(err).__name__]
        raise ForgetError(f'{what} {path} cannot be read: {reason[0]}; '
                          'correct the path or the config') from err


def _base(base, folder, where, axes):
    """The path of the base, with braces for every axis with files."""
    names = [axis.name for axis in axes if axis.files]
    found = _BRACES.findall(base) if isinstance(base, str) else []
    for name in found:
        if name not in names:
            known = f'name one of {", ".join(names)}' if names else 'remove it'
            raise ForgetError(f'{where} has {{{name}}}, and no axis with '
                              f'files is called so; {known}, or give the axis '
                              "files={'full': '', 'few': '_4shot'}")
    if not names or not isinstance(base, str):
        return existing_file(base, folder, where)
    for name in names:
        if name not in found:
            raise ForgetError(f'axis {name!r} of the study chooses files, and '
                              f'{where} is {base!r}; put {{{name}}} into it, '
                              'or remove the axis')
    return str(folder / base)


def _check_files(grid):
    """The base of every cell must be there."""
    for cell in grid.cells():
        if not Path(cell.base).is_file():
            raise ForgetError(f'cell {cell.name}: its base is {cell.base}, '
                              'and there is no such file; correct base, or '
                              'files of the axes')


def check_seeds(seeds):
    """Seeds of a study, each once.

    Raises:
        ForgetError: If they are no whole numbers >= 0.
    """
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
