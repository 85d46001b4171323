"""What is left of forgotten classes: bring them back, and look."""
from ...analysis.recover_table import write_recovery
from ...utils import ForgetError
from ..compare import Comparison
from ..compare.comparison import named_choice
from ..run_lock import lock_run
from ..study.queue import JobQueue, failures
from ..tasks import task_of
from .config import read_recovery
from .measure import CURVE, measure_curve
from .targets import find_targets, reference_jobs, setting_config


class Recovery:
    """Brings forgotten classes of many models back, all in the same ways.

    The models are those of a comparison after their last request, the
    original, and one trained without the classes. Nothing but the layers
    that classify is changed. Every curve is measured once and kept in
    ``recover/curves`` of the comparison's folder.

    Args:
        config (str): The config of the recovery.
        work_dir (str, optional): Folder of the comparison; default as there.
        seeds (list[int], optional): Instead of those of the config.
        methods (list[str], optional): Names of the methods; default those of
            the config.

    Attributes:
        targets (list[tuple]): Models, each with config and request of its
            setting.

    Raises:
        ForgetError: On bad input, before anything is run.
    """

    def __init__(self, config, work_dir=None, seeds=None, methods=None):
        self.settings = read_recovery(config, seeds)
        self.comparison = Comparison(self.settings.comparison, work_dir)
        self.work_dir = self.comparison.work_dir / 'recover'
        compared = self.comparison.settings
        self.names = named_choice(f'recovery.settings of {config}',
                                  self.settings.settings,
                                  compared.settings.values)
        given = self.settings.methods if methods is None else methods
        self.methods = named_choice(f'recovery.methods of {config}', given,
                                    compared.titles)
        self.targets, self.jobs = [], []
        for name in self.names:
            cfg, request = setting_config(compared, name)
            jobs = reference_jobs(self.settings, name, request, self.work_dir)
            self.jobs += jobs.values()
            self.targets += [(target, cfg, request) for target in find_targets(
                self.comparison, self.settings, name, self.methods, cfg, jobs)]

    def run(self, tools, jobs=1):
        """Measure what is not measured, then write table and figure.

        Args:
            tools (str | Path): Folder of ``pretrain.py``.
            jobs (int): How many references are trained at a time. Defaults
                to 1.

        Returns:
            str: The table.

        Raises:
            ForgetError: If a curve failed, after all others and the table.
        """
        with lock_run(self.work_dir):
            todo = [job for job in self.jobs if not job.is_done()]
            done = len(self.jobs) - len(todo)
            failed = JobQueue(todo, tools, jobs, done).run()
            self._check_data()
            for target, cfg, request in self.targets:
                if not target.checkpoint.is_file():
                    continue
                for name, variant in self.settings.variants.items():
                    try:
                        self._measure(target, cfg, request, name, variant)
                    except ForgetError as err:
                        failed[f'{target.place} {name}'] = str(err)
            table = self.tabulate()
        if failed:
            print(table)
            raise ForgetError(failures(failed))
        return table

    def _check_data(self):
        """Generated data is written here."""
        for cfg in {id(cfg): cfg for _, cfg, _ in self.targets}.values():
            task = task_of(cfg)
            task.check_data(cfg, task.class_names(cfg),
                            cfg.forget.get('unseen') or ())

    def _folder(self, target, variant):
        return self.work_dir / 'curves' / target.place / variant

    def _measure(self, target, cfg, request, name, variant):
        folder = self._folder(target, name)
        if not (folder / CURVE).is_file():
            print(f'{target.setting}, {target.title}, seed {target.seed}: '
                  f'{name}', flush=True)  # yapf: disable
        folder.mkdir(parents=True, exist_ok=True)
        return measure_curve(cfg, request, target, variant, self.settings,
                             folder)

    def tabulate(self):
        """Write the table and the figure of what is measured.

        Returns:
            str: The table.

        Raises:
            ForgetError: If nothing is.
        """
        curves, missing = [], []
        for target, cfg, request in self.targets:
            for name, variant in self.settings.variants.items():
                if (self._folder(target, name) / CURVE).is_file():
                    points = self._measure(target, cfg, request, name, variant)
                    curves.append((target, name, points))
                else:
                    missing.append(f'{target.setting} {target.title} seed '
                                   f'{target.seed} {name}')
        if not curves:
            raise ForgetError(f'{self.work_dir} holds no curve; start it '
                              'without --table-only, after the comparison')
        return write_recovery(self.settings.name, curves, missing,
                              self.work_dir)
