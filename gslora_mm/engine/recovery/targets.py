"""The models of a recovery."""
from dataclasses import dataclass
from pathlib import Path

from ..artefacts import MERGED
from ..compare.comparison import METHOD, SETTING
from ..config_file import read_config
from ..settings import ForgetSettings
from ..study.jobs import Preparation
from ..study.plan import changed_config, check_options

# Names of folders and of lines that are no method.
ORIGINAL, REFERENCE = 'original', 'reference'


@dataclass(frozen=True)
class Target:
    """A model whose forgotten classes may come back.

    Args:
        setting (str): Setting of the comparison, which says what is
            forgotten.
        method (str): Who forgot it, or another short name.
        title (str): What tables call it.
        seed (int): The seed.
        checkpoint (Path): Its weights.
        home (str): Setting in whose folder it is measured, if that is
            another one.
    """
    setting: str
    method: str
    title: str
    seed: int
    checkpoint: Path
    home: str = ''

    @property
    def place(self):
        """Path: Where its files lie."""
        return (Path(self.home or self.setting) / self.method /
                f'seed_{self.seed}')


# For configs that are looked at, and not run.
NOBODY = Target('', '', '', 0, Path('none'))


def setting_config(comparison, setting, more=None):
    """The config of a setting, without any method.

    Args:
        comparison (ComparisonSettings): The comparison.
        setting (str): Name of the setting.
        more (dict, optional): Further options.

    Returns:
        tuple[Config, Request]: The config and its last request.
    """
    options = {
        **comparison.options,
        **comparison.settings.values[setting],
        **(more or {})
    }
    check_options(comparison.base_config, options, comparison.base)
    cfg = changed_config(comparison.base_config, options)
    return cfg, ForgetSettings.from_config(cfg).requests[-1]


def find_targets(comparison, recovery, setting, methods, cfg, reference, home):
    """The models of one setting, finished or not.

    Args:
        comparison (Comparison): The comparison.
        recovery (RecoverySettings): The recovery.
        setting (str): Name of the setting.
        methods (list[str]): Names of the methods.
        cfg (Config): Config of the setting.
        reference (dict[int, Preparation]): Model that never saw the
            classes, by seed.
        home (str): Setting in whose folder the original and the reference
            are measured.

    Returns:
        list[Target]: The original first, then the reference, methods and
        further models, each with every seed.
    """
    titles, seeds = comparison.settings.titles, recovery.seeds
    found = [
        Target(setting, ORIGINAL, 'Original', seed, Path(str(cfg.load_from)),
               home) for seed in seeds
    ]
    found += [
        Target(setting, REFERENCE, recovery.reference['title'], seed,
               job.result, home) for seed, job in reference.items()
    ]
    for method in methods:
        runs = {
            run.seed: run
            for run in comparison.runs if run.cell.values[METHOD] == method
            and run.cell.values[SETTING] == setting and run.is_done()
        }
        for seed in seeds:
            path = NOBODY.checkpoint
            if seed in runs:
                run = runs[seed]
                path = run.folder / f'request_{run.requests:02d}' / MERGED
            found.append(Target(setting, method, titles[method], seed, path))
    for title, path in recovery.models.items():
        found += [
            Target(setting, title, title, seed,
                   Path(str(path).replace('{seed}', str(seed))))
            for seed in seeds
        ]
    return found


def reference_jobs(recovery, setting, request, work_dir):
    """Trainings without the forgotten classes.

    Args:
        recovery (RecoverySettings): The recovery.
        setting (str): Name of the setting.
        request (Request): Its last request.
        work_dir (Path): Folder of the recovery.

    Returns:
        dict[int, Preparation]: By seed; empty without a reference.
    """
    if not recovery.reference:
        return {}
    source, options = (recovery.reference[k] for k in ('config', 'options'))
    as_long = dict(as_long=True) if recovery.reference['as_long'] else {}
    plain = read_config(source)
    check_options(plain, options, source)
    jobs = {}
    for seed in recovery.seeds:
        cfg = changed_config(plain, {**options, 'randomness.seed': seed})
        cfg.train_dataloader.dataset = dict(
            type='gslora_mm.WithoutClasses',
            dataset=cfg.train_dataloader.dataset.to_dict(),
            classes=[*request.forgotten, *request.classes],
            **as_long)
        job = Preparation(f'{setting} reference seed {seed}',
                          work_dir / REFERENCE / setting / f'seed_{seed}', cfg)
        job.check()
        jobs[seed] = job
    return jobs
