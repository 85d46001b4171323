"""What is measured along a sequence of requests."""
from pathlib import Path

from mmengine.dist import barrier, is_main_process

from ..analysis.artefact_forms import read_report
from ..evaluation import class_sets_for_requests, request_metrics
from ..utils import read_form, write_json
from .artefacts import METRICS
from .evaluate import evaluate_state
from .gallery_run import BEFORE as GALLERY_BEFORE
from .gallery_run import GALLERY
from .gallery_run import REPORT as GALLERY_REPORT
from .gallery_run import GalleryTest, request_gallery
from .main_process import lacks, say, write_once

BASE = 'base'
REPORT = 'report.json'
# Of the model before a request that came when its report was there.
BEFORE = 'before.json'


class SequenceReports:
    """Measures the models of a run, each once.

    Every report is a file, and is read where it is there: a killed run does
    not measure again.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        work_dir (str | Path): Folder of the run.
    """

    def __init__(self, cfg, settings, work_dir):
        self.cfg, self.settings = cfg, settings
        self.work_dir, self.base = Path(work_dir), None

    def measure_base(self, state):
        """Measure the pre-trained model on every request's class sets.

        Args:
            state (dict[str, Tensor]): Its weights.

        Returns:
            dict: Its report; see :class:`ForgetCocoMetric` and
            :class:`ForgetAccuracyMetric`.
        """
        folder, source = self.work_dir / BASE, self.cfg.load_from
        if self._lacks_sets(folder / REPORT):
            say('evaluating the base model')
            write_once(
                folder / REPORT,
                evaluate_state(self.cfg, self.settings, state, source,
                               self.settings.requests, folder, 'base model'))
        if self.settings.gallery and self._lacks_sets(folder / GALLERY_REPORT):
            if is_main_process():
                self._gallery().base(state, source, self.settings.requests,
                                     folder)
            barrier()
        self.base = read_report(folder / REPORT)
        return self.base

    def measure_before(self, request, report, state, source):
        """The report of the model before, with the sets of a request.

        A request that came later was not known when that model was
        measured.

        Args:
            request (Request): The request.
            report (dict): Of the model before it.
            state (dict[str, Tensor]): Weights of that model.
            source (str): Where they come from, for messages.

        Returns:
            dict: The report.
        """
        folder = self._folder(request)
        self._gallery_before(request, state, source)
        if self._has_sets(report, request):
            return report
        if lacks(folder / BEFORE):
            write_once(
                folder / BEFORE,
                evaluate_state(self.cfg, self.settings, state, source,
                               [request], folder,
                               f'{request.name}, before it'))
        return read_report(folder / BEFORE)

    def measure_after(self, request, before, state, source):
        """Measure the model after a request, and write its metrics.

        Args:
            request (Request): The request.
            before (dict): Report of the model before it.
            state (dict[str, Tensor]): Weights of the model after it.
            source (str): Where they come from, for messages.

        Returns:
            dict: Its report, with the sets of the next request as well.
        """
        folder = self._folder(request)
        if lacks(folder / REPORT):
            write_once(
                folder / REPORT,
                evaluate_state(self.cfg, self.settings, state, source,
                               self._measured_with(request), folder,
                               f'{request.name}, evaluation'))
        report = read_report(folder / REPORT)
        if lacks(folder / METRICS):
            ema = self.settings.ema_of(request)
            write_once(
                folder / METRICS,
                dict(
                    request=request.index,
                    classes=list(request.classes),
                    **(dict(ema=ema) if ema else {}),
                    **request_metrics(self.base, before, report,
                                      request.index)))
        if self.settings.gallery:
            self._gallery_after(request, state, source)
        return report

    def _gallery_before(self, request, state, source):
        """Identify by embedding, if the request was not known then."""
        earlier = self._before(request)
        if not self.settings.gallery or earlier.name == BASE:
            return
        known = read_form(earlier / GALLERY_REPORT, {'sets': dict})
        path = self._folder(request) / GALLERY_BEFORE
        if not self._has_sets(known,
                              request) and lacks(path) and is_main_process():
            write_json(
                path,
                self._gallery().measure(state, source, [request],
                                        self.work_dir / BASE))
        barrier()

    def _gallery_after(self, request, state, source):
        folder, base = self._folder(request), self.work_dir / BASE
        if lacks(folder / GALLERY_REPORT) and is_main_process():
            write_json(
                folder / GALLERY_REPORT,
                self._gallery().measure(state, source,
                                        self._measured_with(request), base))
        barrier()
        if lacks(folder / GALLERY) and is_main_process():
            own = folder / GALLERY_BEFORE
            before = self._before(request) / GALLERY_REPORT
            write_json(
                folder / GALLERY,
                request_gallery(base / GALLERY_REPORT,
                                own if own.is_file() else before,
                                folder / GALLERY_REPORT, request.index))
        barrier()

    def _gallery(self):
        return GalleryTest(self.cfg, self.settings)

    def _folder(self, request):
        return self.work_dir / request.name

    def _before(self, request):
        """Folder of the model before a request."""
        earlier = self.settings.requests[:request.index - 1]
        return self._folder(earlier[-1]) if earlier else self.work_dir / BASE

    def _measured_with(self, request):
        """Requests whose class sets are measured after one: it, the next."""
        return self.settings.requests[request.index - 1:request.index + 1]

    def _lacks_sets(self, path):
        """Whether a report is not there, or from before requests came."""
        if lacks(path):
            return True
        known = read_form(path, {'sets': dict})
        missing = not all(
            self._has_sets(known, r) for r in self.settings.requests)
        barrier()
        return missing

    def _has_sets(self, report, request):
        """Whether a report has the class sets of a request.

        One from before the requests changed has sets of the same names.
        """
        wanted = class_sets_for_requests([request], self.settings.unseen)
        return all(report['sets'].get(name, {}).get('classes') == classes
                   for name, classes in wanted.items())
