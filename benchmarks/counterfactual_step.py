"""A step of the counterfactual methods against one of GS-LoRA."""
import dataclasses

from .common import interleave, paired_ratio, row
from .method_steps import TASKS
from .training_parts import forgetting_parts, forgetting_step

CONFIGS = dict(
    ViT='configs/gslora/vit_shapes_counterfactual.py',
    detector='configs/gslora/ddetr_shapes_counterfactual.py')
BOUND = (None, 1.3)
# Images of a stream; of the ViT about as many as its config has.
PER_STREAM = dict(ViT=24, detector=4)
CACHE = 1024.
REPEATS = 16


def run(setting):
    """Time training steps: forward, backward, optimizer, proximal step.

    Both sides train the same model on the same images, those of the
    counterfactual teacher with painted ones beside them. Warm: the teacher's
    cache holds what it said of all of them; cold: the teacher is asked at
    every step, all images in one batch.

    Returns:
        list[dict]: For each task the warm step (with the bound), the cold
        one, and how many images the warm cache had.
    """
    rows = []
    for task, (config, checkpoint) in TASKS.items():
        if task == 'detector':
            checkpoint = setting.checkpoint
        rows += _compare(
            task,
            dataclasses.replace(
                setting, config_file=config, checkpoint=checkpoint))
    return rows


def _compare(task, setting):
    size = 1 if setting.tiny else PER_STREAM[task]
    ours = dataclasses.replace(setting, config_file=CONFIGS[task])
    warm = forgetting_parts(_cached(ours, CACHE), size)
    cold = forgetting_parts(_cached(ours, 0), size)
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
            f'{task}, counterfactual step, teacher {name}: / GS-LoRA, '
            f'{size}+{size} images',
            wall[name],
            wall['gs_lora'],
            bound=bound,
            cpu_ratio=paired_ratio(cpu[name], cpu['gs_lora']),
            cached_images=len(cache))
        for name, bound in (('warm', BOUND), ('cold', None))
    ]


def _cached(setting, megabytes):
    options = {**setting.options, 'forget.method.teacher_cache': megabytes}
    return dataclasses.replace(setting, options=options)
