"""The sampling of deformable attention on a CPU, as a function of tensors."""
import functools
import os
from concurrent.futures import ThreadPoolExecutor

import torch
from torch.autograd.function import Function, once_differentiable


class CPUDeformableAttention(Function):
    """Sum of bilinear samples, ``sum_lp A_lp V_l(point_lp)``.

    Deformable DETR (Zhu et al., ICLR 2021), equation 3, after the values are
    projected and before the heads are: ``A`` is the softmax of the logits
    over levels and points, and a point lies at its reference plus its
    offset. B images, S keys of all levels, H heads, C channels per head, Q
    queries, L levels, P points.
    """

    @staticmethod
    def forward(ctx, value, sizes, references, offsets, logits):
        """Weigh, sample and sum.

        Args:
            value (Tensor): (B, S, H, C).
            sizes (Tensor): Height and width of every level, (L, 2), int64.
            references (Tensor): Points x, y, or boxes cx, cy, w, h, from 0
                to 1, (B, Q, L, 2 or 4).
            offsets (Tensor): x, y in pixels of the level, or in halves of
                the box's sides, shared by the points, (B, Q, H, L * P, 2).
            logits (Tensor): (B, Q, H, L * P).

        Returns:
            Tensor: (B, Q, H * C).
        """
        images, queries, heads = logits.shape[:3]
        inputs = [
            t.contiguous()
            for t in (value, sizes, references.flatten(0, 1),
                      offsets.flatten(0, 2), logits.flatten(0, 2))
        ]
        weights = torch.empty_like(inputs[-1])
        out = value.new_empty(len(weights), value.shape[3])
        _spread(kernels().forward, [*inputs, weights, out], images * heads)
        # What the logits were is in the weights.
        ctx.save_for_backward(*inputs[:-1], weights)
        return out.view(images, queries, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """Gradients of what needs one.

        Args:
            grad (Tensor): (B, Q, H * C).

        Returns:
            tuple: Like the arguments of :meth:`forward`.
        """
        value, _, references, offsets, weights = ctx.saved_tensors
        to_value, _, to_references, *others = ctx.needs_input_grad
        to_points = to_references or any(others)
        images, _, heads, channels = value.shape
        # Each head has references of its own here: no two write to one.
        own = len(weights), *references.shape[1:]
        grads = [
            value.new_empty(shape if wanted else [0] * len(shape))
            for shape, wanted in ((value.shape, to_value), (own,
                                                            to_references),
                                  (offsets.shape, to_points), (weights.shape,
                                                               to_points))
        ]
        grad = grad.contiguous().view(len(weights), channels)
        _spread(kernels().backward, [*ctx.saved_tensors, grad, *grads],
                images * heads, to_value, to_points, to_references)
        # Back from one row for each image, query and head.
        of_head = images, len(weights) // images // heads, heads
        split = [
            g.view(*of_head, *g.shape[1:]) if g.numel() else g
            for g in grads[1:]
        ]
        found = grads[0], None, split[0].sum(2), *split[1:]
        return tuple(g if wanted else None
                     for g, wanted in zip(found, ctx.needs_input_grad))


def available():
    """bool: Whether there is a numba to make the kernels with."""
    return kernels() is not None


@functools.lru_cache(maxsize=None)
def kernels():
    """The module of kernels; None where numba is missing."""
    try:
        from . import cpu_attention_kernels
    except ImportError:
        return None
    return cpu_attention_kernels


# --- threads -----------------------------------------------------------------


@functools.lru_cache(maxsize=None)
def _pool(workers):
    return ThreadPoolExecutor(workers, 'deformable_attention')


# A forked process has the pools, but not their threads.
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _spread(kernel, tensors, pairs, *flags):
    """Share the (image, head) pairs out among torch's number of threads.

    Plain threads: numba's own and torch's would stand in each other's way.
    """
    arrays = [t.detach().numpy() for t in tensors]
    parts = min(torch.get_num_threads(), pairs)
    edges = [pairs * i // parts for i in range(parts + 1)]
    first, *others = zip(edges, edges[1:])
    futures = [
        _pool(parts - 1).submit(kernel, *arrays, *flags, *part)
        for part in others
    ]
    kernel(*arrays, *flags, *first)
    for future in futures:
        future.result()
