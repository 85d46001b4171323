"""Deformable attention on a CPU: ours against mmcv's."""
from unittest import mock

import torch
from mmcv.ops import MultiScaleDeformableAttention

from gslora_mm.models import cpu_deformable_attention as fast
from .common import device, interleave, paired_ratio, row
from .training_parts import forgetting_parts, forgetting_step

BOUND = (None, 1.0)
PER_STREAM, REPEATS = 4, 20


def run(setting):
    """Time the attention of a training step alone, then the whole step.

    The first row computes every deformable attention of one step, with its
    projections, forward and backward, on the tensors that the step handed to
    it. The second is information: the step itself, which differs in nothing
    but the attention.
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
    sides = dict(ours=fast.cpu_forward, mmcv=fast.mmcv_forward)
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


def _with(forward, step):
    """The step with ``forward`` in mmcv's place."""

    def run_step():
        with mock.patch.object(MultiScaleDeformableAttention, 'forward',
                               forward):
            step()

    return run_step


def _calls(step):
    """Module and arguments of every deformable attention in one step."""
    calls = []

    def record(self, *args, **kwargs):
        assert not args  # mmdet names them all
        calls.append((self, {
            k:
            v.detach().clone().requires_grad_(v.requires_grad)
            if torch.is_tensor(v) else v
            for k, v in kwargs.items()
        }))
        return fast.mmcv_forward(self, **kwargs)

    _with(record, step)()
    return calls


def _results(forward, call):
    """Output and gradients; a forward alone where none is wanted."""
    module, given = call
    out = forward(module, **given)
    wanted = [
        v for v in (*given.values(), *module.parameters())
        if torch.is_tensor(v) and v.requires_grad
    ]
    if not wanted:
        return (out, )
    grads = torch.autograd.grad(out.sum(), wanted, allow_unused=True)
    return out, *(g for g in grads if g is not None)


def _attention(forward, calls):

    def run_calls():
        for call in calls:
            _results(forward, call)

    return run_calls


def _difference(sides, calls):
    return max(
        float((a - b).abs().max() / b.abs().max()) for call in calls
        for a, b in zip(*(_results(f, call) for f in sides.values())))
