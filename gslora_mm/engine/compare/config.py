"""The config of a comparison, read and checked."""
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...utils import ForgetError
from ..config_checks import check_number, refuse_unknown
from ..config_file import read_config
from ..study.axes import existing_file, read_axis, read_options
from ..study.config import check_seeds, read_plain
from .method_file import read_method

_KEYS = ('name', 'methods', 'seeds', 'settings', 'only', 'options', 'search')
_SEARCH_KEYS = ('options', 'budget', 'seed')


@dataclass(frozen=True)
class ComparisonSettings:
    """A comparison, read and checked.

    Args:
        name (str): Its title.
        base (str): Path of the config that every run starts from.
        methods (list[MethodFile]): What is compared.
        settings (Axis): On what; options by name.
        only (dict[str, list[str]]): Names of the methods that run a setting,
            by its name; all methods run the others.
        seeds (list[int]): Seeds of the runs of every cell.
        options (dict): What all runs change in the base config.
        search_options (dict): What the trials of the search change beside.
        budget (int): Trials of every method; 0: each keeps the values of
            its file.
        search_seed (int): Of the draw and of the trials.
        base_config (Config): The base, read.
    """
    name: str
    base: str
    methods: list
    settings: object
    only: dict
    seeds: list
    options: dict
    search_options: dict
    budget: int
    search_seed: int
    base_config: object

    @property
    def titles(self):
        """dict[str, str]: What tables call the methods, by name."""
        return {method.name: method.title for method in self.methods}

    def asks(self, setting, method):
        """bool: Whether the method runs the setting, both by name."""
        return method in self.only.get(setting, self.titles)


def read_comparison(path, options=None, seeds=None):
    """Read the config of a comparison.

    It holds ``base``, a path relative to it, and ``comparison``::

        comparison = dict(
            name='what the tables are called',
            # Files, or patterns such as 'methods/*.py', relative to it.
            methods=['methods/fine_tune.py', 'methods/ewc.py'],
            seeds=[0, 1, 2],
            settings=dict(single={'forget.requests': [['star', 'ring']]},
                          continual={}),
            # A long setting, which some of them run alone.
            only=dict(continual=['ewc']),
            options={},           # of all runs
            search=dict(
                # Another validation split, and requests to try.
                options={'val_dataloader.dataset.data_root': '...'},
                budget=12, seed=100))

    Args:
        path (str): The config file.
        options (dict, optional): Further options of all runs, as
            ``--cfg-options`` gave them.
        seeds (list[int], optional): Instead of those of the config.

    Returns:
        ComparisonSettings: The comparison.

    Raises:
        ForgetError: If something is missing, unknown or contradictory.
    """
    cfg, folder = read_plain(path, 'comparison'), Path(path).parent
    content = cfg.get('comparison')
    if not isinstance(content, dict):
        raise ForgetError(f'{path} is no comparison: it has no comparison '
                          'section; see configs/compare/ for examples')
    refuse_unknown(f'comparison of {path}', content, _KEYS)
    base = existing_file(cfg.get('base'), folder, f'base of {path}')
    base_cfg = read_config(base)
    methods = [
        read_method(file, base_cfg,
                    Path(path).stem)
        for file in _method_files(content.get('methods'), folder, path)
    ]
    settings = read_axis('setting',
                         content.get('settings') or {'all': {}}, folder)
    if settings.files or settings.prepare:
        raise ForgetError(f'settings of {path} must be options by name, e.g. '
                          "dict(single={'forget.requests': [['star']]})")
    search, budget, seed = _search(content.get('search') or {}, path)
    found = ComparisonSettings(
        content.get('name',
                    Path(path).stem), base, methods, settings,
        _only(content.get('only') or {}, settings, methods, path),
        check_seeds(content.get('seeds', [0]) if seeds is None else seeds), {
            **read_options(content.get('options', {}), 'comparison.options'),
            **{str(k): v for k, v in (options or {}).items()}
        }, search, budget, seed, base_cfg)  # yapf: disable
    _refuse_clashes(found, options or {})
    return found


def _method_files(given, folder, path):
    """Paths of the methods' configs, in order, each once."""
    patterns = [given] if isinstance(given, str) else given
    if not patterns or not isinstance(patterns, list):
        raise ForgetError(f'{path} compares nothing; list the configs of '
                          "methods, e.g. methods=['methods/ewc.py']")
    files = {}
    for pattern in patterns:
        found = sorted(folder.glob(pattern)) if isinstance(pattern,
                                                           str) else []
        if not found:
            raise ForgetError(f'methods of {path} name {pattern!r}, and there '
                              'is no such file; correct the path, relative '
                              'to the comparison')
        for file in found:
            if files.setdefault(file.stem, file) != file:
                raise ForgetError(f'{file} and {files[file.stem]} are both '
                                  f'called {file.stem}; rename one')
    return list(files.values())


def _only(content, settings, methods, path):
    """Methods by setting, checked."""
    where, names = f'only of {path}', [method.name for method in methods]
    refuse_unknown(where, content, tuple(settings.values))
    for setting, given in content.items():
        if not isinstance(given, list) or not given:
            raise ForgetError(f'{where} must list names of methods for '
                              f'{setting}, not {given!r}')
        refuse_unknown(f'{where}, {setting},', dict.fromkeys(given),
                       tuple(names))
    return {k: list(v) for k, v in content.items()}


def _search(content, path):
    where = f'search of {path}'
    refuse_unknown(where, content, _SEARCH_KEYS)
    budget, seed = content.get('budget', 1), content.get('seed', 0)
    check_number(f'budget of the {where}', budget, int, 0)
    check_number(f'seed of the {where}', seed, int, 0)
    options = read_options(content.get('options', {}), f'options of {where}')
    return options, budget, seed


def _refuse_clashes(found, given):
    """A key belongs to the settings, to methods, or to the command line."""
    keys = {k for v in found.settings.values.values() for k in v}
    for method in found.methods:
        tuned = {k for a in method.search for v in a.values.values()
                 for k in v}  # yapf: disable
        for key in sorted({*method.options, *tuned}):
            for other, what in ((given, '--cfg-options'), (keys, 'settings')):
                for same in filter(partial(_overlap, key), sorted(other)):
                    part = f' ({same})' if same != key else ''
                    raise ForgetError(
                        f'{key} is set by method {method.name} and by '
                        f'{what}{part}; only one can. A comparison of values '
                        'of one method has it in its base config, and '
                        'methods/as_configured.py')
    for key in keys & set(given):
        raise ForgetError(f'--cfg-options {key} is what the settings of the '
                          'comparison vary')


def _overlap(one, two):
    """Whether two dotted keys are the same, or one holds the other."""
    return one == two or one.startswith(f'{two}.') or two.startswith(f'{one}.')
