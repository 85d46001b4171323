"""A step of the counterfactual teacher against one of GS-LoRA."""
import dataclasses

from .common import interleave, paired_ratio, row
from .training_parts import forgetting_parts, forgetting_step

CONFIG = 'configs/gslora/ddetr_shapes_counterfactual.py'
BOUND = (None, 1.3)
PER_STREAM = 4
REPEATS = 16


def run(setting):
    """Time training steps: forward, backward, optimizer, proximal step.

    Both sides train the same model on the same images, those of the
    counterfactual teacher with painted ones beside them. Warm: the teacher's
    cache holds what it said of all of them; cold: the teacher is asked at
    every step, all images in one batch.

    Returns:
        list[dict]: The warm step (with the bound), the cold one, and the
        share of images that the warm cache had.
    """
    size = 1 if setting.tiny else PER_STREAM
    ours = dataclasses.replace(setting, config_file=CONFIG)
    warm = forgetting_parts(ours, size)
    cold = forgetting_parts(_uncached(ours), size)
    other = forgetting_parts(setting, size)
    # The same images on both sides.
    other.batches = cold.batches = warm.batches
    for parts in (warm, cold):
        parts.model.method.begin(parts.model, {})
    steps = {
        name: forgetting_step(parts)
        for name, parts in dict(warm=warm, cold=cold, gs_lora=other).items()
    }
    wall, cpu = interleave(
        steps, setting.count(REPEATS), warmup=len(warm.batches))
    cache = warm.model._cache
    return [
        row(
            f'counterfactual step, teacher {name}: / GS-LoRA, {size}+{size} '
            'images',
            wall[name],
            wall['gs_lora'],
            bound=bound,
            cpu_ratio=paired_ratio(cpu[name], cpu['gs_lora']),
            cached_images=len(cache))
        for name, bound in (('warm', BOUND), ('cold', None))
    ]


def _uncached(setting):
    options = {**setting.options, 'forget.method.teacher_cache': 0}
    return dataclasses.replace(setting, options=options)
