"""Deformable attention on a CPU: ours against mmcv's."""
from unittest import mock

import torch

from gslora_mm.models import cpu_deformable_attention as fast
from .common import device, interleave, paired_ratio, row
from .training_parts import forgetting_parts, forgetting_step

BOUND = (None, 1.0)
PER_STREAM, REPEATS = 4, 20


def run(setting):
    """Time the attention of a training step alone, then the whole step.

    The first row computes every deformable attention of one step, forward
    and backward, on the tensors that the step handed to it. The second is
    information: the step itself, which differs in nothing but the attention.
    ``max_difference`` is the largest difference of a result or a gradient,
    relative to the largest entry.

    Returns:
        list[dict]: The attention (with the bound) and the step; nothing on a
        GPU or without numba, where mmcv's attention runs in either case.
    """
    if device() != 'cpu' or not fast.available():
        return []
    size = 1 if setting.tiny else PER_STREAM
    parts = forgetting_parts(setting, size)
    step = forgetting_step(parts)
    calls = _calls(step)
    sides = dict(ours=fast.cpu_deformable_attention, mmcv=fast.mmcv_attention)
    name = f'{size}+{size} images: ours / mmcv'
    count = setting.count(REPEATS)
    wall, cpu = interleave(
        {
            k: _attention(function, calls)
            for k, function in sides.items()
        }, count)
    rows = [
        row(f'attention of a step, {name}',
            wall['ours'],
            wall['mmcv'],
            bound=BOUND,
            cpu_ratio=paired_ratio(cpu['ours'], cpu['mmcv']),
            max_difference=_difference(sides, calls),
            calls=len(calls))
    ]
    wall, cpu = interleave(
        {
            k: _with(function, step)
            for k, function in sides.items()
        }, count)
    rows.append(
        row(f'training step, {name}',
            wall['ours'],
            wall['mmcv'],
            cpu_ratio=paired_ratio(cpu['ours'], cpu['mmcv'])))
    return rows


def _with(function, step):
    """The step with ``function`` in mmcv's place."""

    def run_step():
        with mock.patch.object(fast.mmcv_module, fast.NAME, function):
            step()

    return run_step


def _calls(step):
    """Arguments of the attention of every layer in one training step."""
    calls = []

    def record(*args):
        calls.append(
            [a.detach().clone().requires_grad_(a.requires_grad) for a in args])
        return fast.mmcv_attention(*args)

    _with(record, step)()
    return calls


def _results(function, args):
    """Output and gradients; a forward alone where none is wanted."""
    out = function(*args)
    wanted = [a for a in args if a.requires_grad]
    return out, *(torch.autograd.grad(out.sum(), wanted) if wanted else ())


def _attention(function, calls):

    def run_calls():
        for args in calls:
            _results(function, args)

    return run_calls


def _difference(sides, calls):
    return max(
        float((a - b).abs().max() / b.abs().max()) for args in calls
        for a, b in zip(*(_results(f, args) for f in sides.values())))
