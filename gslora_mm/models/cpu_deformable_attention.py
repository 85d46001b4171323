"""Deformable attention on a CPU, in place of mmcv's own.

mmcv computes it with ``F.grid_sample`` for each level, and copies of all that
was sampled: about half of a training step of Deformable DETR on a CPU. Here
every sampled value is added up where it is read.

The replacement is a name in mmcv's module and not a class of ours:
``MultiScaleDeformableAttention.forward`` looks the function up among the
globals of its module, and a subclass would have to repeat all of ``forward``
and to be put into the config of every model.
"""
import contextlib
import functools
import os
from concurrent.futures import ThreadPoolExecutor

import torch
from mmcv.ops import multi_scale_deform_attn as mmcv_module
from torch.autograd.function import Function, once_differentiable

from ..utils import ForgetError

SWITCH = 'GSLORA_CPU_ATTENTION'
NAME = 'multi_scale_deformable_attn_pytorch'
mmcv_attention = getattr(mmcv_module, NAME)


class CPUDeformableAttention(Function):
    """Sum of bilinear samples, ``sum_lp A_lp V_l(location_lp)``.

    Deformable DETR (Zhu et al., ICLR 2021), equation 3, after the values are
    projected and before the heads are. B images, S keys of all levels, H
    heads, C channels per head, Q queries, L levels, P points.
    """

    @staticmethod
    def forward(ctx, value, sizes, locations, weights):
        """Sample and sum.

        Args:
            value (Tensor): (B, S, H, C).
            sizes (Tensor): Height and width of every level, (L, 2), int64.
            locations (Tensor): x, y from 0 to 1, (B, Q, H, L, P, 2).
            weights (Tensor): (B, Q, H, L, P).

        Returns:
            Tensor: (B, Q, H * C).
        """
        inputs = [t.contiguous() for t in (value, sizes, locations, weights)]
        images, queries, heads = weights.shape[:3]
        out = value.new_empty(images, queries, heads, value.shape[3])
        _spread(_kernels().forward, [*inputs, out], images * heads)
        ctx.save_for_backward(*inputs)
        return out.flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """Gradients of what needs one.

        Args:
            grad (Tensor): (B, Q, H * C).

        Returns:
            tuple: Like the arguments of :meth:`forward`.
        """
        value, sizes, locations, weights = ctx.saved_tensors
        images, queries, heads = weights.shape[:3]
        grad = grad.contiguous().view(images, queries, heads, -1)
        to_value, _, to_locations, to_weights = ctx.needs_input_grad
        to_points = to_locations or to_weights
        grads = [
            torch.empty_like(t) if wanted else t.new_empty([0] * t.dim())
            for t, wanted in ((value, to_value), (locations, to_points),
                              (weights, to_points))
        ]
        _spread(_kernels().backward,
                [value, sizes, locations, weights, grad, *grads],
                images * heads, to_value, to_points)
        return (grads[0] if to_value else None, None,
                grads[1] if to_locations else None,
                grads[2] if to_weights else None)


def cpu_deformable_attention(value, value_spatial_shapes, sampling_locations,
                             attention_weights):
    """mmcv's ``multi_scale_deformable_attn_pytorch``, only faster.

    The same arguments and, but for rounding, the same result and gradients,
    whatever the number of threads. What is no float32 on a CPU goes to
    mmcv's function, as does everything where numba is missing, and whatever
    does not fit together: the error is then mmcv's.

    Args:
        value (Tensor): (B, S, H, C).
        value_spatial_shapes (Tensor): (L, 2).
        sampling_locations (Tensor): (B, Q, H, L, P, 2).
        attention_weights (Tensor): (B, Q, H, L, P).

    Returns:
        Tensor: (B, Q, H * C).
    """
    args = (value, value_spatial_shapes, sampling_locations, attention_weights)
    if _supported(*args) and available():
        return CPUDeformableAttention.apply(*args)
    return mmcv_attention(*args)


def _supported(value, sizes, locations, weights):
    """Whether the kernels may touch these; they check no index."""
    if torch.jit.is_tracing() or not all(
            torch.is_tensor(t) and t.device.type == 'cpu'
            and t.layout == torch.strided
            for t in (value, sizes, locations, weights)):
        return False
    if sizes.dtype != torch.int64 or any(t.dtype != torch.float32
                                         for t in (value, locations, weights)):
        return False
    if value.dim() != 4 or weights.dim() != 5 or not weights.numel():
        return False
    images, _, heads, levels, _ = weights.shape
    if locations.shape != (*weights.shape, 2) or sizes.shape != (levels, 2):
        return False
    pairs = sizes.tolist()
    keys = sum(height * width for height, width in pairs)
    return (min(map(min, pairs)) > 0 and value.numel() > 0
            and value.shape[:3] == (images, keys, heads))


def available():
    """bool: Whether there is a numba to make the kernels with."""
    return _kernels() is not None


@functools.lru_cache(maxsize=None)
def _kernels():
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


# --- the switch --------------------------------------------------------------


def use_fast_cpu_attention():
    """Let every deformable attention of this process use it.

    The environment variable ``GSLORA_CPU_ATTENTION=mmcv`` forbids it.

    Returns:
        bool: Whether this call has changed anything.

    Raises:
        ForgetError: If the variable has another value.
    """
    choice = os.environ.get(SWITCH, '')
    if choice not in ('', 'numba', 'mmcv'):
        raise ForgetError(f'{SWITCH}={choice} is unknown; set it to mmcv for '
                          "mmcv's own attention, or leave it unset")
    if choice == 'mmcv' or getattr(mmcv_module,
                                   NAME) is cpu_deformable_attention:
        return False
    setattr(mmcv_module, NAME, cpu_deformable_attention)
    return True


def use_mmcv_attention():
    """Undo :func:`use_fast_cpu_attention`."""
    setattr(mmcv_module, NAME, mmcv_attention)


@contextlib.contextmanager
def fast_cpu_attention():
    """:func:`use_fast_cpu_attention` for a while; also a decorator."""
    changed = use_fast_cpu_attention()
    try:
        yield
    finally:
        if changed:
            use_mmcv_attention()
