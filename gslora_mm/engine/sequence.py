"""The sequence of erasure requests."""
from pathlib import Path

from mmengine.dist import barrier, is_main_process

from ..analysis.artefact_forms import read_report
from ..analysis.summary import write_summary
from ..evaluation import class_sets_for_requests, request_metrics
from ..lora import fingerprint
from ..provenance.run_recorder import RunRecorder
from ..utils import (UNWRITABLE, DivergedError, ForgetError, read_form,
                     write_json)
from ..utils.stopping import stop_if_asked
from .artefacts import MERGED, METRICS, TRAINING
from .checkpoints import load_plain_state
from .evaluate import evaluate_state
from .gallery_run import BEFORE as GALLERY_BEFORE
from .gallery_run import GALLERY
from .gallery_run import REPORT as GALLERY_REPORT
from .gallery_run import GalleryTest, request_gallery
from .method_class import method_flag
from .preflight import (check_amp, check_base, check_requests, check_strategy,
                        check_work_dir)
from .prototypes import prepare_prototypes
from .request_run import is_trained, remove_leftovers, train_request
from .run_lock import lock_run
from .run_record import open_run
from .settings import ForgetSettings
from .tasks import task_of
from .teacher_check import check_teacher

BASE = 'base'
REPORT = 'report.json'
# The model before a request that was added when its report was there.
BEFORE = 'before.json'
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
                self._say(said)
            remove_leftovers(self.work_dir)
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
        base_report = self._base_report()
        self._prepare_prototypes()
        self.recorder.record_start(self.base_print)
        barrier()
        self._check_teacher()
        base, state, base_print = (self.cfg.load_from, self.base_state,
                                   self.base_print)
        before = base_report
        for request in self.settings.requests:
            stop_if_asked()
            folder = self.work_dir / request.name
            if self._lacks(folder / TRAINING):
                self._say(f'{request.name}: forget '
                          f'{", ".join(request.classes)}')
                self.recorder.begin(request)
                train_request(self.cfg, self.settings, request, folder, base,
                              base_print)
            before = self._with_sets(request, folder, before, state, base)
            self._test_gallery_before(request, folder, state, base)
            base = str(folder / MERGED)
            state, base_print = self._load_merged(base, base_print)
            before = self._measure(request, folder, state, base, base_report,
                                   before)
            self._test_gallery(request, folder, state, base)
            self.recorder.record_request(request)
            summary = write_summary(
                self.work_dir) if is_main_process() else None
        barrier()
        return summary

    def _base_report(self):
        """Report of the pre-trained model on every request's class sets."""
        path = self.work_dir / BASE / REPORT
        if self._lacks_sets(path):
            self._say('evaluating the base model')
            report = evaluate_state(self.cfg, self.settings, self.base_state,
                                    self.cfg.load_from, self.settings.requests,
                                    path.parent, 'base model')
            self._write(path, report)
        if self.settings.gallery and self._lacks_sets(
                path.parent / GALLERY_REPORT):
            if is_main_process():
                GalleryTest(self.cfg,
                            self.settings).base(self.base_state,
                                                self.cfg.load_from,
                                                self.settings.requests,
                                                path.parent)
            barrier()
        return read_report(path)

    def _lacks_sets(self, path):
        """Whether a report is not there, or from before requests came."""
        lacks = self._lacks(path)
        if not lacks:
            known = read_form(path, {'sets': dict})
            lacks = not all(
                self._has_sets(known, r) for r in self.settings.requests)
            barrier()
        return lacks

    def _with_sets(self, request, folder, before, state, source):
        """The report of the model before, with the sets of a request.

        A request that came later was not known when that model was
        measured.
        """
        if self._has_sets(before, request):
            return before
        path = folder / BEFORE
        if self._lacks(path):
            self._write(
                path,
                evaluate_state(self.cfg, self.settings, state, source,
                               [request], folder,
                               f'{request.name}, before it'))
        return read_report(path)

    def _prepare_prototypes(self):
        """Prototypes of the original model, for requests still to train."""
        untrained = [
            self._lacks(self.work_dir / request.name / TRAINING)
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
            if asks and self._lacks(self.work_dir / request.name / TRAINING):
                check_teacher(self.cfg, self.settings, request,
                              self.base_state, self.work_dir)
                return

    def _test_gallery(self, request, folder, state, source):
        """Identify by embedding, if the config asks for it."""
        if not self.settings.gallery:
            return
        base = self.work_dir / BASE
        if self._lacks(folder / GALLERY_REPORT) and is_main_process():
            report = GalleryTest(self.cfg, self.settings).measure(
                state, source, self._measured_with(request), base)
            write_json(folder / GALLERY_REPORT, report)
        barrier()
        if self._lacks(folder / GALLERY) and is_main_process():
            earlier = self.settings.requests[:request.index - 1]
            before = self.work_dir / earlier[-1].name if earlier else base
            own = folder / GALLERY_BEFORE
            write_json(
                folder / GALLERY,
                request_gallery(
                    base / GALLERY_REPORT,
                    own if own.is_file() else before / GALLERY_REPORT,
                    folder / GALLERY_REPORT, request.index))
        barrier()

    def _test_gallery_before(self, request, folder, state, source):
        """The same of the model before, if the request was not known then."""
        earlier = self.settings.requests[:request.index - 1]
        if not (self.settings.gallery and earlier):
            return
        known = read_form(self.work_dir / earlier[-1].name / GALLERY_REPORT,
                          {'sets': dict})
        if not self._has_sets(known, request) and self._lacks(
                folder / GALLERY_BEFORE) and is_main_process():
            report = GalleryTest(self.cfg, self.settings).measure(
                state, source, [request], self.work_dir / BASE)
            write_json(folder / GALLERY_BEFORE, report)
        barrier()

    def _measured_with(self, request):
        """Requests whose class sets are measured after one: it, the next."""
        return self.settings.requests[request.index - 1:request.index + 1]

    def _measure(self, request, folder, state, source, base_report, before):
        """Evaluate a merged model; return its report."""
        path = folder / REPORT
        if self._lacks(path):
            report = evaluate_state(self.cfg, self.settings, state, source,
                                    self._measured_with(request), folder,
                                    f'{request.name}, evaluation')
            self._write(path, report)
        report = read_report(path)
        if self._lacks(folder / METRICS):
            ema = self.settings.ema_of(request)
            self._write(
                folder / METRICS,
                dict(
                    request=request.index,
                    classes=list(request.classes),
                    **(dict(ema=ema) if ema else {}),
                    **request_metrics(base_report, before, report,
                                      request.index)))
        return report

    def _has_sets(self, report, request):
        """Whether a report has the class sets of a request.

        One from before the requests changed has sets of the same names.
        """
        wanted = class_sets_for_requests([request], self.settings.unseen)
        return all(report['sets'].get(name, {}).get('classes') == classes
                   for name, classes in wanted.items())

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

    @staticmethod
    def _lacks(path):
        """Whether a file is not there; the same answer on every rank."""
        lacks = not path.is_file()
        # Nobody may write it before everybody has looked.
        barrier()
        return lacks

    @staticmethod
    def _write(path, content):
        if is_main_process():
            write_json(path, content)
        barrier()

    @staticmethod
    def _say(message):
        if is_main_process():
            print(message, flush=True)
