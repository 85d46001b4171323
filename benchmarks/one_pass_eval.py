"""One evaluation pass for all class sets against a pass for each."""
from pathlib import Path

from gslora_mm.engine.checkpoints import load_into, load_plain_state
from gslora_mm.engine.data_config import annotation_file
from gslora_mm.engine.request_config import evaluation_config
from gslora_mm.engine.runner import RequestRunner
from gslora_mm.engine.settings import ForgetSettings
from .common import interleave, paired_ratio, row, subset_annotations

BOUND = (None, 0.45)
IMAGES, REPEATS = 150, 3
SETS = ('forget', 'retain', 'old')


def run(setting):
    """Time an evaluation after the second request of the config.

    Ours: one pass, :class:`~gslora_mm.evaluation.ForgetCocoMetric` with all
    class sets in both protocols. Other: for each of the sets forget, retain
    and old an inference pass over the validation set and mmdet's
    ``CocoMetric`` on the set's annotations. The second row is information:
    the three passes see only images with the set's classes, as the published
    code does; that gives the ``paper`` protocol alone. Inference and metrics
    are timed, building models and loaders is not. ``max_ap_difference``
    compares the AP of both sides; mmdet rounds to three decimals.

    Returns:
        list[dict]: All images (with the bound) and images of the sets only.
    """
    one = _OnePass(setting)
    whole = {s: _SetPass(one, s, False) for s in SETS}
    lean = {s: _SetPass(one, s, True) for s in SETS}
    variants = dict(
        one=one,
        **{
            f'whole_{s}': p
            for s, p in whole.items()
        },
        **{
            f'lean_{s}': p
            for s, p in lean.items()
        })
    wall, cpu = interleave(variants, setting.count(REPEATS), warmup=1)
    return [
        _row('all images in each pass', 'whole', whole, one, wall, cpu, BOUND),
        _row('only images of the set', 'lean', lean, one, wall, cpu, None)
    ]


def _row(title, kind, passes, one, wall, cpu, bound):
    three, three_cpu = ([
        sum(values) for values in zip(*(times[f'{kind}_{s}'] for s in SETS))
    ] for times in (wall, cpu))
    protocol = 'coco' if kind == 'whole' else 'paper'
    return row(
        f'evaluation, {one.images} images: one pass / three, {title}',
        wall['one'],
        three,
        bound=bound,
        cpu_ratio=paired_ratio(cpu['one'], three_cpu),
        max_ap_difference=max(
            abs(one.metrics[f'{protocol}/AP_02_{s}'] - p.ap)
            for s, p in passes.items()))


class _OnePass:
    """The evaluation that the engine makes after a request."""

    def __init__(self, setting):
        self.folder = Path(setting.folder) / 'eval'
        self.images = 25 if setting.tiny else IMAGES
        cfg = setting.config()
        self.settings = ForgetSettings.from_config(cfg)
        self.request = self.settings.requests[1]
        self.annotations = subset_annotations(
            annotation_file(cfg.val_dataloader.dataset),
            self.folder / 'all.json', self.images)
        self.cfg = setting.config(
            val_dataloader__dataset__ann_file=self.annotations)
        self.state, _ = load_plain_state(cfg.load_from)
        self.runner = self.build()

    def build(self, change=None):
        """A runner with the weights loaded."""
        cfg = evaluation_config(self.cfg, self.settings, [self.request],
                                self.folder, 'evaluation')
        if change:
            change(cfg)
        runner = RequestRunner.from_cfg(cfg)
        load_into(runner.model, self.state, self.cfg.load_from)
        return runner

    def __call__(self):
        self.metrics = self.runner.test()


class _SetPass:
    """Inference and mmdet's own metric for one class set."""

    def __init__(self, one, name, lean):
        request = one.request
        classes = dict(
            forget=request.classes,
            retain=request.retain,
            old=request.forgotten)[name]
        kind = 'lean' if lean else 'whole'
        path = subset_annotations(
            one.annotations,
            one.folder / f'{name}_{kind}.json',
            classes=list(classes),
            drop_other_images=lean)

        def change(cfg):
            cfg.test_dataloader.dataset.ann_file = path
            cfg.test_evaluator = dict(
                type='mmdet.CocoMetric', ann_file=path, metric='bbox')

        self.runner = one.build(change)

    def __call__(self):
        self.ap = self.runner.test()['coco/bbox_mAP']
