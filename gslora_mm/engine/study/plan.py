"""From the grid of a study to its runs, with everything checked."""
import copy
import difflib

from mmengine.config import Config

from ...registry import METHODS
from ...utils import ForgetError, read_json
from ..config_file import read_config
from ..run_record import RECORD
from ..settings import ForgetSettings
from .jobs import SETTINGS, Preparation, Run


def plan_runs(grid, work_dir, cells=None, bases=None):
    """Plan the runs of a study, and check their settings.

    Seeds of earlier calls count, too: their runs come last.

    Args:
        grid (Grid): The study.
        work_dir (Path): Its folder.
        cells (list[Cell], optional): Some of its cells; default all.
        bases (dict[str, Config], optional): Base configs by path; default:
            they are read.

    Returns:
        list[Run]: One per cell and seed; nothing is written.

    Raises:
        ForgetError: If an option does not exist in the base config, settings
            are bad, a folder was begun with others, or base configs are
            of different tasks.
    """
    cells, prepared = grid.cells() if cells is None else cells, {}
    bases = bases or _read_bases(cells)
    runs, more = [], []
    for cell in cells:
        needs = _preparation(grid, cell, work_dir, prepared)
        folder = work_dir / 'cells' / cell.name
        try:
            cfg, requests = _cell_config(bases[cell.base], grid, cell)
        except ForgetError as err:
            raise ForgetError(f'cell {cell.name}: {err}') from err
        if needs:
            cfg.load_from = str(needs.result)
        for seed in [*grid.seeds, *_other_seeds(folder, grid.seeds)]:
            run = Run(f'{cell.name} seed {seed}', folder / f'seed_{seed}',
                      changed_config(cfg, {'randomness.seed': seed}), cell,
                      seed, requests, needs)
            run.check()
            (runs if seed in grid.seeds else more).append(run)
    return runs + more


def check_cell(grid, cell, base):
    """Check the settings of a cell, wherever it will be run.

    Args:
        grid (Grid): The study.
        cell (Cell): One of its cells.
        base (Config): Its base config.

    Raises:
        ForgetError: If an option does not exist, or settings are bad.
    """
    try:
        _cell_config(base, grid, cell)
    except ForgetError as err:
        raise ForgetError(f'cell {cell.name}: {err}') from err


def _read_bases(cells):
    """The base config of every cell by its path, each read once."""
    paths = dict.fromkeys(cell.base for cell in cells)
    found = {path: read_config(path) for path in paths}
    scopes = {cfg.get('default_scope'): path for path, cfg in found.items()}
    if len(scopes) > 1:
        raise ForgetError(f'{" and ".join(scopes.values())} are of different '
                          'tasks, whose results do not fit in one table; '
                          'make it two studies')
    return found


def _other_seeds(folder, seeds):
    """Seeds that earlier calls finished or began."""
    found = [p.parent.name[5:] for p in folder.glob(f'seed_*/{SETTINGS}')]
    return sorted(int(s) for s in found if s.isdigit() and int(s) not in seeds)


def _preparation(grid, cell, work_dir, known):
    """The preparation of a cell, shared by all that need the same."""
    if cell.prepared is None or cell.prepared in known:
        return known.get(cell.prepared)
    axis = next(axis for axis in grid.axes if axis.prepare)
    value = axis.values[cell.values[axis.name]]
    options = {**_of_model(grid.options), **axis.prepare['options'],
               **_of_model(value)}  # yapf: disable
    cfg = read_config(axis.prepare['config'])
    check_options(cfg, options, axis.prepare['config'])
    job = Preparation(f'base model for {cell.prepared}',
                      work_dir / 'prepare' / cell.prepared,
                      changed_config(cfg, options))
    job.check()
    known[cell.prepared] = job
    return job


def _of_model(options):
    return {k: v for k, v in options.items() if k.startswith('model.')}


def _cell_config(base, grid, cell):
    """The checked config of a cell, and its number of requests."""
    options = {**grid.options, **cell.options}
    check_options(base, options, cell.base)
    cfg = changed_config(base, options)
    settings = ForgetSettings.from_config(cfg)
    for request in settings.requests:
        _check_method(settings.method_of(request))
    return cfg, len(settings.requests)


def changed_config(cfg, options):
    """A copy of a config with some options changed.

    Args:
        cfg (Config): The config.
        options (dict): As in ``--cfg-options``.

    Returns:
        Config: The copy.

    Raises:
        ForgetError: If an option does not fit.
    """
    cfg = Config(copy.deepcopy(cfg.to_dict()))
    try:
        cfg.merge_from_dict(copy.deepcopy(options))
    except (TypeError, KeyError, AttributeError, IndexError) as err:
        raise ForgetError(f'options {options} do not fit the config: '
                          f'{err}') from err
    return cfg


def _check_method(method):
    try:
        METHODS.build(dict(method, _scope_='gslora_mm'))
    except (TypeError, KeyError) as err:
        raise ForgetError(f'forget.method cannot be built: {err}') from err


def check_options(cfg, options, source):
    """Check that options change something that a config has.

    The last part of a key may be new, as defaults need not be written down;
    what it is part of may not, save in ``forget``, whose keys are checked by
    name elsewhere.

    Args:
        cfg (Config): The config without the options.
        options (dict): Dotted keys and values.
        source (str): Where the config lies, for the message.

    Raises:
        ForgetError: At the first option that has no place in the config.
    """
    for key in options:
        node, parts = cfg.to_dict(), key.split('.')
        for depth, part in enumerate(parts):
            inside = _inside(node)
            if part in inside:
                node = inside[part]
                continue
            last = depth == len(parts) - 1
            if isinstance(node, dict) and depth and (last
                                                     or parts[0] == 'forget'):
                break
            near = difflib.get_close_matches(part, inside, n=1)
            hint = f'did you mean {near[0]!r}?' if near else 'correct it'
            raise ForgetError(f'option {key}: {source} has no '
                              f'{".".join(parts[:depth + 1])!r}; {hint}')


def _inside(node):
    """dict: What a dotted key can go on with, by name."""
    if isinstance(node, (list, tuple)):
        return {str(i): child for i, child in enumerate(node)}
    return node if isinstance(node, dict) else {}


def check_bases(runs):
    """Check that runs with the same base checkpoint had the same weights.

    Args:
        runs (list[Run]): Finished runs.

    Raises:
        ForgetError: If a checkpoint was replaced between them.
    """
    prints = {}
    for run in runs:
        record = run.folder / RECORD
        if record.is_file():
            source = str(run.config.get('load_from'))
            found = read_json(record).get('base_fingerprint')
            first, expected = prints.setdefault(source, (run, found))
            if found != expected:
                raise ForgetError(
                    f'{source} is not the same for all runs: {run.folder} '
                    f'started from other weights than {first.folder}; remove '
                    'the folders that are out of date')
