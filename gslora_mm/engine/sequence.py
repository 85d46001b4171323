"""The sequence of erasure requests."""
from pathlib import Path

from mmengine.dist import barrier, is_main_process

from ..analysis.summary import write_summary
from ..lora import fingerprint
from ..provenance.run_recorder import RunRecorder
from ..utils import UNWRITABLE, DivergedError, ForgetError, write_json
from ..utils.stopping import stop_if_asked
from .artefacts import MERGED, TRAINING
from .checkpoints import load_plain_state
from .main_process import lacks, say
from .method_class import method_flag
from .preflight import (check_amp, check_base, check_requests, check_strategy,
                        check_work_dir)
from .prototypes import prepare_prototypes
from .request_run import is_trained, remove_leftovers, train_request
from .run_lock import lock_run
from .run_record import open_run
from .sequence_reports import SequenceReports
from .settings import ForgetSettings
from .tasks import task_of
from .teacher_check import check_teacher

# Left by a run whose training diverged, until it is started again.
DIVERGED = 'diverged.json'


class ForgettingSequence:
    """Runs every request of a config, one after another.

    The base model is evaluated once. Each request is a standard mmengine run
    in a folder of its own, started from the merged result of the one before:
    train, write the artefacts, evaluate the merged checkpoint. Every step
    leaves a file when it is done and is skipped when the file is there, so
    a killed run goes on where it was.

    Args:
        cfg (Config): The whole config, ``forget`` section included.
        work_dir (str | Path): Folder of the run.
        resume (bool): Go on with the run in ``work_dir``. Defaults to False.

    Raises:
        ForgetError: On bad input, before anything is computed.
    """

    def __init__(self, cfg, work_dir, resume=False):
        self.cfg, self.work_dir = cfg, Path(work_dir)
        self.settings = ForgetSettings.from_config(cfg)
        check_amp(cfg)
        check_strategy(cfg)
        # Generated data is written here, by one process alone.
        if is_main_process():
            task_of(cfg).check_data(cfg, self.settings.classes,
                                    self.settings.unseen)
        barrier()
        self.base_state, _, self.base_print = check_base(cfg)
        self.settings.base_fingerprint = self.base_print
        check_requests(cfg, self.settings, [
            r for r in self.settings.requests
            if not is_trained(self.work_dir / r.name)
        ], self.work_dir)
        check_work_dir(self.work_dir)
        if is_main_process():
            self._lock = lock_run(self.work_dir)
            said = open_run(cfg, self.work_dir, resume, self.base_print)
            if said:
                say(said)
            remove_leftovers(self.work_dir)
        self.reports = SequenceReports(cfg, self.settings, self.work_dir)
        self.recorder = RunRecorder(cfg, self.settings, self.work_dir,
                                    task_of(cfg))

    def run(self):
        """Run what is not done yet.

        Returns:
            dict: The summary, as in ``summary.json``.

        Raises:
            DivergedError: If the training of a request diverges.
            ForgetError: If a request fails or the disk is full; what is
                finished stays.
        """
        if is_main_process():
            (self.work_dir / DIVERGED).unlink(missing_ok=True)
        try:
            return self._run()
        except DivergedError as err:
            if is_main_process():
                write_json(self.work_dir / DIVERGED, dict(error=str(err)))
            raise
        except OSError as err:
            if err.errno not in UNWRITABLE:
                raise
            raise ForgetError(
                f'cannot write {err.filename or self.work_dir}: '
                f'{err.strerror}; nothing finished is lost: free some space, '
                'then continue with --resume') from err

    def _run(self):
        barrier()
        before = self.reports.measure_base(self.base_state)
        self._prepare_prototypes()
        self.recorder.record_start(self.base_print)
        barrier()
        self._check_teacher()
        base, state, base_print = (self.cfg.load_from, self.base_state,
                                   self.base_print)
        for request in self.settings.requests:
            stop_if_asked()
            folder = self.work_dir / request.name
            if lacks(folder / TRAINING):
                say(f'{request.name}: forget '
                    f'{", ".join(request.classes)}')
                self.recorder.begin(request)
                train_request(self.cfg, self.settings, request, folder, base,
                              base_print)
            before = self.reports.measure_before(request, before, state, base)
            base = str(folder / MERGED)
            state, base_print = self._load_merged(base, base_print)
            before = self.reports.measure_after(request, before, state, base)
            self.recorder.record_request(request)
            summary = write_summary(
                self.work_dir) if is_main_process() else None
        barrier()
        return summary

    def _prepare_prototypes(self):
        """Prototypes of the original model, for requests still to train."""
        untrained = [
            lacks(self.work_dir / request.name / TRAINING)
            for request in self.settings.requests
        ]
        if self.settings.prototypes and any(untrained):
            prepare_prototypes(self.cfg, self.settings, self.base_state,
                               self.base_print, self.work_dir)

    def _check_teacher(self):
        """Once, for requests still to train."""
        for request in self.settings.requests:
            asks = method_flag(
                self.settings.method_of(request), 'needs_teacher')
            if asks and lacks(self.work_dir / request.name / TRAINING):
                check_teacher(self.cfg, self.settings, request,
                              self.base_state, self.work_dir)
                return

    @staticmethod
    def _load_merged(path, base_print):
        """State and fingerprint of a merged checkpoint, checked."""
        cure = ('restore it, or remove the folders of this request and of '
                'all later ones to train them again')
        if not Path(path).is_file():
            raise ForgetError(f'{path} is gone; {cure}')
        state, meta = load_plain_state(path)
        about, actual = meta.get('gslora', {}), fingerprint(state)
        if about.get('merged_fingerprint') != actual:
            raise ForgetError(
                f'{path} is not the checkpoint that this run wrote; {cure}')
        if about.get('base_fingerprint') != base_print:
            raise ForgetError(f'{path} was not made from the result of the '
                              f'request before it; {cure}')
        return state, actual
