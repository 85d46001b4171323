"""What the benchmarks share: setting, interleaved timing, result rows."""
import json
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from gslora_mm.utils import write_json

ROOT = Path(__file__).resolve().parents[1]
CONFIG = 'configs/gslora/ddetr_shapes_forget.py'
CHECKPOINT = 'data/ddetr_shapes.pth'


@dataclass
class Setting:
    """What all benchmarks of a run have in common.

    Args:
        checkpoint (str): Plain checkpoint of the config's detector.
        folder (str): Scratch folder.
        repeats (int, optional): Measurements of each side. Defaults to each
            benchmark's own number.
        tiny (bool): Smallest sizes, to see that everything runs.
        options (dict): Config keys to override, dotted.
        config_file (str): The config, from the repository's root.
    """

    checkpoint: str
    folder: str
    repeats: int = None
    tiny: bool = False
    options: dict = field(default_factory=dict)
    config_file: str = CONFIG

    def config(self, **changes):
        """The config with overrides.

        Args:
            **changes: Dotted keys, with ``__`` for the dot.

        Returns:
            Config: A new one for every call.
        """
        from gslora_mm.engine import read_config
        dotted = {k.replace('__', '.'): v for k, v in changes.items()}
        return read_config(
            str(ROOT / self.config_file), {
                'load_from': self.checkpoint,
                **dotted,
                **self.options
            })

    def count(self, default):
        """Number of measurements."""
        return self.repeats or default


def device():
    """The device that mmengine's runner would take."""
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def build_plain(cfg, state):
    """The plain detector of a config with the weights of ``state``."""
    from mmdet.registry import MODELS

    from gslora_mm.engine.checkpoints import load_into
    from gslora_mm.engine.tasks import task_of
    model = MODELS.build(task_of(cfg).plain_model(cfg))
    load_into(model, state, cfg.load_from)
    return model.to(device())


def subset_annotations(path,
                       target,
                       num_images=None,
                       classes=None,
                       drop_other_images=False):
    """Write part of a COCO annotation file.

    Args:
        path (str): The whole file.
        target (Path): Where the part goes.
        num_images (int, optional): Keep the first images only.
        classes (list[str], optional): Keep annotations of these only.
        drop_other_images (bool): Drop images that are left without any.

    Returns:
        str: Absolute path of the part.
    """
    content = json.loads(Path(path).read_text())
    content['images'] = content['images'][:num_images]
    images = {i['id'] for i in content['images']}
    names = {c['id']: c['name'] for c in content['categories']}
    content['annotations'] = [
        a for a in content['annotations'] if a['image_id'] in images and (
            classes is None or names[a['category_id']] in classes)
    ]
    if drop_other_images:
        kept = {a['image_id'] for a in content['annotations']}
        content['images'] = [i for i in content['images'] if i['id'] in kept]
    write_json(target, content)
    return str(target.resolve())


def clock():
    """Wall and processor seconds, once the device has finished."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def interleave(variants, repeats, warmup=2):
    """Time variants in turns.

    Every round runs each variant once, in an order drawn anew: what the
    machine does besides hits all of them alike, and none is always the one
    that finds the caches warm.

    Args:
        variants (dict[str, Callable]): What to time, by name.
        repeats (int): Rounds that count.
        warmup (int): Rounds before them that do not.

    Returns:
        tuple[dict, dict]: Wall and processor seconds, lists by name; the
        entries at one position belong to one round.
    """
    order, wall, cpu = random.Random(0), {}, {}
    for i in range(warmup + repeats):
        for name in order.sample(list(variants), len(variants)):
            begin = clock()
            variants[name]()
            end = clock()
            if i >= warmup:
                wall.setdefault(name, []).append(end[0] - begin[0])
                cpu.setdefault(name, []).append(end[1] - begin[1])
    return wall, cpu


def paired_ratio(ours, other):
    """Median over the rounds of ours / other."""
    return statistics.median(a / b for a, b in zip(ours, other))


def row(name, ours, other, bound=None, unit='s', **detail):
    """One line of the result table.

    Args:
        name (str): What is compared.
        ours (list[float]): Measurements of our side.
        other (list[float]): Those of the other side, of the same rounds.
        bound (tuple, optional): Lowest and highest accepted ratio, None for
            no limit. Without a bound the row is information.
        unit (str): Unit of the measurements.
        **detail: What else is worth keeping.

    Returns:
        dict: ``name``, medians ``ours`` and ``other``, ``ratio`` (median of
        the paired ratios), ``bound``, ``ok`` and ``detail``.
    """
    ratio = paired_ratio(ours, other)
    spread = dict(
        measurements=len(ours),
        ours_range=[min(ours), max(ours)],
        other_range=[min(other), max(other)])
    ok = None
    if bound:
        low, high = bound
        ok = (low is None or ratio >= low) and (high is None or ratio <= high)
    return dict(
        name=name,
        unit=unit,
        ours=statistics.median(ours),
        other=statistics.median(other),
        ratio=ratio,
        bound=bound,
        ok=ok,
        detail={
            **spread,
            **detail
        })
