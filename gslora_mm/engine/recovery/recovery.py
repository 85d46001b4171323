"""What is left of forgotten classes: bring them back, and look."""
import json
from functools import partial
from pathlib import Path

from ...analysis.proof_table import write_proof
from ...analysis.recover_table import write_recovery
from ...utils import ForgetError
from ..compare import Comparison
from ..compare.comparison import named_choice
from ..config_file import config_content
from ..run_lock import lock_run
from ..study.queue import JobQueue, failures
from ..tasks import task_of
from .config import read_recovery
from .image_checks import check_images
from .measure import CURVE, measure_curve, recovery_config
from .model_job import ModelJob
from .probe_run import PROBES, measure_probes
from .targets import NOBODY, find_targets, reference_jobs, setting_config
from .variants import RESERVED, kind_of

# References are the same, whatever is measured.
_REFERENCES = 'recover'


class Recovery:
    """Brings forgotten classes of many models back, all in the same ways.

    The models are those of a comparison after their last request, further
    checkpoints, the original, and one trained without the classes. Every
    curve is measured once and kept in ``recover/curves`` of the comparison's
    folder, the answers of a model to probes in ``recover/probes``; where they
    are, the weights may go. What settings have in common, the original and a
    reference of which they ask the same, is measured in the first of them.

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
        self.config = str(config)
        self.settings = read_recovery(config, seeds)
        self.comparison = Comparison(self.settings.comparison, work_dir)
        self.work_dir = self.comparison.work_dir / self.settings.folder
        compared = self.comparison.settings
        self.names = named_choice(f'recovery.settings of {config}',
                                  self.settings.settings,
                                  compared.settings.values)
        given = self.settings.methods if methods is None else methods
        self.methods = named_choice(f'recovery.methods of {config}', given,
                                    compared.titles)
        self.targets, self.jobs, homes = [], [], {}
        for name in self.names:
            cfg, request = setting_config(compared, name,
                                          self.settings.options)
            home = homes.setdefault(self._question(cfg, request), name)
            jobs = reference_jobs(self.settings, home, request,
                                  self.comparison.work_dir / _REFERENCES)
            self.jobs += jobs.values() if home == name else ()
            self.targets += [
                (target, cfg, request)
                for target in find_targets(self.comparison, self.settings,
                                           name, self.methods, cfg, jobs, home)
            ]

    def _question(self, cfg, request):
        """str: The same of settings that ask the same of a given model."""
        configs = [
            recovery_config(cfg, request, NOBODY, variant, self.settings)
            for variant in self.settings.variants.values()
        ]
        asked = [config_content(config) for config in configs]
        return json.dumps([str(cfg.load_from), asked], sort_keys=True)

    def run(self, tools, jobs=1):
        """Measure what is not measured, then write table and figure.

        Args:
            tools (str | Path): Folder of ``pretrain.py`` and ``recover.py``.
            jobs (int): How many models are trained or measured at a time;
                more than one in processes of their own. Defaults to 1.

        Returns:
            str: The table.

        Raises:
            ForgetError: If ``jobs`` is below 1, or a curve failed; the latter
                after all others and the table.
        """
        with lock_run(self.work_dir):
            # Or jobs would write generated data all at once, and references
            # be trained for what fails.
            self._check_data()
            apart = self._model_jobs() if jobs > 1 else []
            every = [*self._trainings(), *apart]
            todo = [job for job in every if not job.is_done()]
            failed = JobQueue(todo, tools, jobs, len(every) - len(todo)).run()
            if jobs == 1:
                for target, cfg, request in self._there():
                    failed.update(self._measure_all(target, cfg, request))
            table = self.tabulate()
        if failed:
            print(table)
            raise ForgetError(failures(failed))
        return table

    def measure(self, place):
        """Measure one model, without table and figure.

        Args:
            place (str): ``setting/method/seed_N``.

        Raises:
            ForgetError: If there is no such model, its weights are missing
                before all of it is measured, or something failed.
        """
        known = {str(target[0].place): target for target in self.targets}
        named_choice('--only', [place], known)
        asked = known[place]
        if not asked[0].checkpoint.is_file() and not self._is_measured(*asked):
            raise ForgetError(self._no_weights(asked[0]))
        with lock_run(self.work_dir / 'curves' / place):
            self._check_data()
            failed = self._measure_all(*asked)
        if failed:
            raise ForgetError(failures(failed))

    def _no_weights(self, target):
        """str: What is missing of a model, and what brings it."""
        if target.checkpoint == NOBODY.checkpoint:
            return (f'--only {target.place}: '
                    f'{self.comparison.work_dir} has no finished run of it; '
                    f'run tools/compare.py {self.settings.comparison} first')
        if any(job.result == target.checkpoint for job in self.jobs):
            cure = 'without --only it is trained'
        elif target.method in self.methods:
            cure = 'put them back, or run it again in an empty --work-dir'
        else:
            cure = 'put them there'
        return (f'--only {target.place}: not all of it is measured, and its '
                f'weights {target.checkpoint} are not there; {cure}')

    def _is_measured(self, target, cfg, request):
        """bool: All that is asked of a model is there."""
        return all(map(Path.is_file, self._results(target, cfg, request)))

    def _there(self):
        """Targets whose weights are there."""
        return [t for t in self.targets if t[0].checkpoint.is_file()]

    def _trainings(self):
        """Trainings of references of which something is to be measured."""
        asked = {
            target.checkpoint
            for target, cfg, request in self.targets
            if not self._is_measured(target, cfg, request)
        }
        return [job for job in self.jobs if job.result in asked]

    def _results(self, target, cfg, request):
        """Files that are there when all is asked of a model."""
        return [
            folder / (PROBES if name == RESERVED else CURVE)
            for name, folder, _ in self._tasks(target, cfg, request)
        ]

    def _model_jobs(self):
        """Every model that is there, or will be, as a job."""
        found, trained = {}, {job.result: job for job in self.jobs}
        for target, cfg, request in self.targets:
            needs = trained.get(target.checkpoint)
            if not needs and not target.checkpoint.is_file():
                continue
            found.setdefault(
                target.place,
                ModelJob(
                    f'{target.setting}, {target.title}, seed {target.seed}',
                    self.work_dir / 'curves' / target.place, [
                        self.config, '--work-dir',
                        str(self.comparison.work_dir), '--seeds',
                        str(target.seed), '--methods', *self.methods, '--only',
                        str(target.place)
                    ], self._results(target, cfg, request), needs))
        return list(found.values())

    def _check_data(self):
        """Generated data is written here, and images are counted."""
        for cfg, request in {
                id(cfg): (cfg, request)
                for _, cfg, request in self.targets
        }.values():
            task = task_of(cfg)
            task.check_data(cfg, task.class_names(cfg),
                            cfg.forget.get('unseen') or ())
            check_images(cfg, request, self.settings)

    def _measure_all(self, target, cfg, request):
        """Every curve and the probes of a model; says what failed."""
        failed = {}
        for name, folder, measure in self._tasks(target, cfg, request):
            if not folder.is_dir() or not self._is_done(folder):
                print(f'{target.setting}, {target.title}, seed {target.seed}: '
                      f'{name}', flush=True)  # yapf: disable
            folder.mkdir(parents=True, exist_ok=True)
            try:
                measure()
            except ForgetError as err:
                failed[f'{target.place} {name}'] = str(err)
        return failed

    @staticmethod
    def _is_done(folder):
        return any((folder / name).is_file() for name in (CURVE, PROBES))

    def _tasks(self, target, cfg, request):
        """Name, folder and measurement of all that is asked of a model."""
        found = []
        for name, variant in self.settings.variants.items():
            folder = self.work_dir / 'curves' / target.place / name
            found.append((name, folder,
                          partial(measure_curve, cfg, request, target, variant,
                                  self.settings, folder)))
        if self.settings.probes is not None:
            folder = self.work_dir / 'probes' / target.place
            found.append((RESERVED, folder,
                          partial(measure_probes, cfg, request, target,
                                  self.settings, folder)))
        return found

    def tabulate(self):
        """Write tables and figures of what is measured.

        Returns:
            str: The tables.

        Raises:
            ForgetError: If nothing is.
        """
        curves, probes, missing = [], [], []
        for target, cfg, request in self.targets:
            for name, folder, measure in self._tasks(target, cfg, request):
                if not self._is_done(folder):
                    missing.append(f'{target.setting} {target.title} seed '
                                   f'{target.seed} {name}')
                elif name == RESERVED:
                    probes.append((target, measure()))
                else:
                    curves.append((target, name, measure()))
        if not curves:
            raise ForgetError(f'{self.work_dir} holds no curve; start it '
                              'without --table-only, after the comparison')
        name = self.settings.name
        kinds = {k: kind_of(v) for k, v in self.settings.variants.items()}
        return '\n\n'.join(
            (write_proof(name, curves, probes, kinds, self.work_dir),
             write_recovery(name, curves, missing, self.work_dir)))
