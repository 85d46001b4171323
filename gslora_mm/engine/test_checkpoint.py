"""Measuring any checkpoint on the class sets of a request."""
from pathlib import Path

from mmengine.dist import is_main_process

from ..analysis.artefact_forms import read_record, read_report
from ..evaluation import gallery_metrics, request_metrics
from ..lora import fingerprint, load_adapter, merge_state_dict
from ..utils import ForgetError, read_json
from .checkpoints import load_plain_state
from .config_file import config_content
from .evaluate import evaluate_state
from .gallery_run import REPORT, GalleryTest
from .settings import ForgetSettings
from .tasks import task_of


def load_any_state(checkpoint, adapter=None):
    """Load a plain or merged checkpoint, or a base with an adapter.

    Args:
        checkpoint (str): The checkpoint.
        adapter (str, optional): An adapter written for exactly this
            checkpoint; it is merged in.

    Returns:
        tuple[dict[str, Tensor], dict]: Plain weights, and what the artefact
        says of itself (empty for a checkpoint that is not ours).

    Raises:
        ForgetError: If a file is damaged or the adapter has another base.
    """
    state, meta = load_plain_state(checkpoint)
    if adapter is None:
        return state, meta.get('gslora', {})
    try:
        weights, about = load_adapter(adapter)
    except ValueError as err:
        raise ForgetError(f'{err}; give the adapter.safetensors of a '
                          'request') from err
    try:
        state = merge_state_dict(
            state,
            weights,
            about.get('scaling', {}),
            base_fingerprint=about.get('base_fingerprint'))
    except ValueError as err:
        raise ForgetError(f'adapter {adapter} cannot be put on {checkpoint}: '
                          f'{err}') from err
    return state, about


class CheckpointTest:
    """Measures a checkpoint against the pre-trained model.

    Args:
        cfg (Config): Config with a ``forget`` section.
        checkpoint (str): Plain, merged or base checkpoint.
        adapter (str, optional): Adapter to merge into it.
        request (int, optional): Number of the request, from 1, whose classes
            count as forgotten now. Defaults to the one the checkpoint was
            made by, else the last.
        base (str, optional): The pre-trained checkpoint. Defaults to
            ``load_from`` of the config.
        work_dir (str): Where logs go.
        prepare (Callable, optional): Changes the model with the checkpoint,
            see :func:`~.evaluate.evaluate_state`.
    """

    def __init__(self,
                 cfg,
                 checkpoint,
                 adapter=None,
                 request=None,
                 base=None,
                 work_dir='work_dirs/test',
                 prepare=None):
        self.cfg, self.work_dir = cfg, Path(work_dir)
        self.prepare = prepare
        self.settings = ForgetSettings.from_config(cfg)
        self.task = task_of(cfg)
        self.task.check_data(cfg, self.settings.classes, self.settings.unseen)
        self.name = adapter or checkpoint
        self.state, about = load_any_state(checkpoint, adapter)
        count = len(self.settings.requests)
        index = about.get('request') if request is None else request
        index = count if index is None else index
        if not 1 <= index <= count:
            raise ForgetError(f'there is no request {index}; the config has '
                              f'requests 1 to {count}, choose with --request')
        self.request = self.settings.requests[index - 1]
        self.base = base or cfg.get('load_from')
        self.base_report = self._known_base_report(checkpoint)

    def _known_base_report(self, checkpoint):
        """The base's report, if the run that made the checkpoint has it."""
        # Releases lie one folder deeper than merged checkpoints.
        runs = Path(checkpoint).absolute().parents[1:3]
        run = next((p for p in runs if (p / 'run.json').is_file()), runs[0])
        record, report = run / 'run.json', run / 'base' / 'report.json'
        if not (record.is_file() and report.is_file()):
            return None
        state, _ = load_plain_state(self.base)
        written = read_record(record)
        same = written.get('base_fingerprint') == fingerprint(state)
        return read_report(report) if same and self._same_measure(
            written.get('config') or {}) else None

    def _same_measure(self, other):
        """Whether another config measures the same classes and images."""
        own = config_content(self.cfg)
        keys = ('model', 'data_preprocessor', 'val_dataloader')
        section = other.get('forget') or {}
        return all(own.get(k) == other.get(k) for k in keys) and all(
            own['forget'].get(k) == section.get(k)
            for k in ('requests', 'unseen'))

    def run(self):
        """Evaluate the checkpoint, and the base unless it is known.

        Returns:
            dict: The metrics of the request, as in ``metrics.json``.
        """
        if self.base_report is None:
            state, _ = load_plain_state(self.base)
            self.base_report = self._evaluate(state, self.base, 'base model')
        report = self._evaluate(self.state, self.name, 'checkpoint',
                                self.prepare)
        metrics = request_metrics(self.base_report, self.base_report, report,
                                  self.request.index)
        if self.settings.gallery and is_main_process():
            metrics['gallery'] = self._gallery()
        return dict(
            request=self.request.index,
            classes=list(self.request.classes),
            checkpoint=str(self.name),
            **metrics)

    def _gallery(self):
        """Identification by embedding, with the base's templates as well."""
        test, folder = GalleryTest(self.cfg, self.settings,
                                   self.prepare), self.work_dir
        state, _ = load_plain_state(self.base)
        test.base(state, self.base, [self.request], folder)
        base = read_json(folder / REPORT)
        after = test.measure(self.state, str(self.name), [self.request],
                             folder)
        return gallery_metrics(base, base, after, self.request.index)

    def _evaluate(self, state, source, title, prepare=None):
        return evaluate_state(self.cfg, self.settings, state, str(source),
                              [self.request], self.work_dir / 'logs', title,
                              prepare)
