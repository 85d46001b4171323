"""A step of the counterfactual methods against one of GS-LoRA."""
import dataclasses

from .common import interleave, paired_ratio, row
from .method_steps import TASKS
from .training_parts import forgetting_parts, forgetting_step

CONFIGS = dict(
    ViT={
        'step': 'configs/gslora/vit_shapes_counterfactual.py',
        'deep step': 'configs/gslora/vit_shapes_counterfactual_deep.py'
    },
    detector={
        'step': 'configs/gslora/ddetr_shapes_counterfactual.py',
        'deep step': 'configs/gslora/ddetr_shapes_counterfactual_deep.py'
    })
BOUND = (None, 1.3)
OTHER = 'gs_lora'
# Images of a stream; of the ViT about as many as its config has.
PER_STREAM = dict(ViT=24, detector=4)
CACHE = 1024.
REPEATS = 16


def run(setting):
    """Time training steps: forward, backward, optimizer, proximal step.

    All sides train the same model on the same images, those of the
    counterfactual teacher with painted ones beside them. Warm: the teacher's
    cache holds what it said of all of them; cold: the teacher is asked at
    every step, all images in one batch. Deep: weights train, not LoRA.

    Returns:
        list[dict]: For each config the warm step (with the bound), the cold
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
    other = forgetting_parts(setting, size)
    sides, caches, painted = {}, {}, None
    for kind, config in CONFIGS[task].items():
        ours = dataclasses.replace(setting, config_file=config)
        for teacher, room in (('warm', CACHE), ('cold', 0)):
            parts = forgetting_parts(_cached(ours, room), size)
            # Those of the others are not painted.
            painted = painted or parts.batches
            parts.batches = other.batches = painted
            parts.model.method.begin(parts.model, {})
            sides[kind, teacher] = forgetting_step(parts)
            if room:
                caches[kind] = parts.model._cache
    sides[OTHER] = forgetting_step(other)
    wall, cpu = interleave(
        sides, setting.count(REPEATS), warmup=len(other.batches))
    return [
        row(
            f'{task}, counterfactual {kind}, teacher {teacher}: / GS-LoRA, '
            f'{size}+{size} images',
            wall[kind, teacher],
            wall[OTHER],
            bound=BOUND if teacher == 'warm' else None,
            cpu_ratio=paired_ratio(cpu[kind, teacher], cpu[OTHER]),
            cached_images=len(caches[kind])) for kind in CONFIGS[task]
        for teacher in ('warm', 'cold')
    ]


def _cached(setting, megabytes):
    options = {**setting.options, 'forget.method.teacher_cache': megabytes}
    return dataclasses.replace(setting, options=options)
