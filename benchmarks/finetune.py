"""A forgetting step against a step of full fine-tuning."""
import json
import subprocess
import sys
from dataclasses import asdict

from .common import ROOT, interleave, paired_ratio, row
from .training_parts import (forgetting_parts, forgetting_step, full_parts,
                             plain_step)

BOUND = (None, 1.0)
PER_STREAM, REPEATS = 4, 20


def run(setting):
    """Time and peak memory of a step on 4 + 4 images.

    The other side trains every parameter of the plain detector with mmdet's
    own loss and AdamW on the same images. It supervises every decoder layer,
    as fine-tuning in mmdet does; ``full_one_layer`` in the detail is our own
    loss with everything trainable, to tell what freezing alone saves. How
    memory is measured: ``peak_memory.py``.

    Returns:
        list[dict]: A row for time and one for memory.
    """
    size = 1 if setting.tiny else PER_STREAM
    ours = forgetting_parts(setting, size)
    full = full_parts(setting, ours.batches)
    trained = {
        name: sum(p.numel() for p in parts.model.parameters()
                  if p.requires_grad)
        for name, parts in dict(ours=ours, other=full).items()
    }
    wall, cpu = interleave(
        dict(ours=forgetting_step(ours), full=plain_step(full)),
        setting.count(REPEATS))
    del ours, full
    name = f'{size}+{size} images: forgetting / full fine-tuning'
    time_row = row(
        f'step time, {name}',
        wall['ours'],
        wall['full'],
        bound=BOUND,
        cpu_ratio=paired_ratio(cpu['ours'], cpu['full']),
        trainable_parameters=trained)
    peaks = {
        v: _peak(setting, v, size)
        for v in ('forgetting', 'full', 'full_one_layer')
    }
    memory = row(
        f'peak memory, {name}', [peaks['forgetting']['peak_mb']],
        [peaks['full']['peak_mb']],
        bound=BOUND,
        unit='MB',
        **peaks)
    return [time_row, memory]


def _peak(setting, variant, size):
    """What ``peak_memory.py`` says in a process of its own."""
    task = dict(setting=asdict(setting), variant=variant, per_stream=size)
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks.peak_memory',
         json.dumps(task)],
        cwd=ROOT,
        capture_output=True,
        text=True)
    if done.returncode:
        raise RuntimeError(f'peak_memory {variant} failed:\n{done.stderr}')
    return json.loads(done.stdout.splitlines()[-1])
