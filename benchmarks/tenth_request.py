"""Cost of the tenth request against the first."""
import os
import statistics
import time
from itertools import combinations
from pathlib import Path

from gslora_mm.datasets.shapes import SHAPES
from gslora_mm.engine import ForgettingSequence
from gslora_mm.engine.artefacts import TRAINING
from gslora_mm.engine.data_config import annotation_file
from gslora_mm.utils import read_json
from .common import row, subset_annotations

BOUND = (None, 1.05)
REQUESTS = 10
VAL_IMAGES = 50
RUNS = 3


class TimedSequence(ForgettingSequence):
    """A sequence that notes when each of its steps is done."""

    def _base_report(self):
        report = super()._base_report()
        self.marks = [_mark()]
        return report

    def _measure(self, *args):
        report = super()._measure(*args)
        self.marks.append(_mark())
        return report


def run(setting):
    """Time ten requests of one class each, in one process.

    A request is everything between two evaluations' ends: data, model,
    training, artefacts, evaluation, summary. Each trains as many iterations
    on as many images. A request before the ten, in a run of its own, takes
    what happens once per process: imports, generated data, first touches.
    Several sequences are run: of one, a disturbed request is a large part.

    Returns:
        list[dict]: Median of the last two requests against that of the first
        two (with the bound), and the last against the first.
    """
    count = 3 if setting.tiny else REQUESTS
    _sequence(setting, SHAPES[count:count + 1], 'warm_up').run()
    details = [
        _details(_sequence(setting, SHAPES[:count], f'ten_{i}'))
        for i in range(1 if setting.tiny else setting.count(RUNS))
    ]
    all_seconds = [d['seconds'] for d in details]
    return [
        row(f'requests {count - 1}, {count} / requests 1, 2',
            [statistics.median(seconds[-2:]) for seconds in all_seconds],
            [statistics.median(seconds[:2]) for seconds in all_seconds],
            bound=BOUND,
            sequences=details),
        row(f'request {count} / request 1',
            [seconds[-1] for seconds in all_seconds],
            [seconds[0] for seconds in all_seconds])
    ]


def _details(sequence):
    """Run a sequence; what each of its requests took."""
    sequence.run()
    marks = sequence.marks
    seconds = _differences(marks, 'wall')
    return dict(
        seconds=seconds,
        cpu_seconds=_differences(marks, 'cpu'),
        training_seconds=[
            read_json(sequence.work_dir / r.name / TRAINING)['seconds']
            for r in sequence.settings.requests
        ],
        trend_per_request=_trend(seconds),
        rss_mb=[m['rss_mb'] for m in marks],
        open_files=[m['open_files'] for m in marks])


def _sequence(setting, classes, name):
    size = 1 if setting.tiny else 4
    folder = Path(setting.folder) / 'requests'
    annotations = subset_annotations(
        annotation_file(setting.config().val_dataloader.dataset),
        folder / 'val.json', VAL_IMAGES)
    cfg = setting.config(
        forget__requests=[[c] for c in classes],
        forget__method__sparsity_start=1,
        forget__data__forget_per_batch=size,
        forget__data__epoch_batches=2 if setting.tiny else 6,
        train_dataloader__batch_size=2 * size,
        train_cfg__max_epochs=2,
        val_dataloader__dataset__ann_file=annotations)
    return TimedSequence(cfg, folder / name)


def _mark():
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return dict(
        wall=time.perf_counter(),
        cpu=time.process_time(),
        rss_mb=pages * os.sysconf('SC_PAGE_SIZE') / 2**20,
        open_files=len(os.listdir('/proc/self/fd')))


def _differences(marks, key):
    return [b[key] - a[key] for a, b in zip(marks, marks[1:])]


def _trend(values):
    """Growth per request, relative to the median (Theil-Sen estimate)."""
    slopes = [(values[j] - values[i]) / (j - i)
              for i, j in combinations(range(len(values)), 2)]
    return statistics.median(slopes) / statistics.median(values)
