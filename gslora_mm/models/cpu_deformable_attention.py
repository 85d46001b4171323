"""Deformable attention on a CPU, in place of mmcv's own.

mmcv computes it with ``F.grid_sample`` for each level, copies of all that was
sampled, and one pass over all points for every step of the arithmetic around
it: about half of a training step of Deformable DETR on a CPU. Here the
weight and the place of a point are computed where its values are added up.

The replacement is ``forward`` of mmcv's module and not a class of ours: a
subclass would have to be put into the config of every model.
"""
import contextlib
import os

import torch
from mmcv.ops import MultiScaleDeformableAttention

from ..utils import ForgetError
from .cpu_attention_function import CPUDeformableAttention, available

SWITCH = 'GSLORA_CPU_ATTENTION'
mmcv_forward = MultiScaleDeformableAttention.forward


def cpu_forward(self,
                query,
                key=None,
                value=None,
                identity=None,
                query_pos=None,
                key_padding_mask=None,
                reference_points=None,
                spatial_shapes=None,
                level_start_index=None,
                **kwargs):
    """``MultiScaleDeformableAttention.forward``, only faster.

    The same arguments and, but for rounding, the same result and gradients,
    whatever the number of threads. What is no float32 on a CPU goes to
    mmcv's method, as does everything where numba is missing, and whatever
    does not fit together: the error is then mmcv's.

    Args:
        query (Tensor): (Q, B, D); with ``batch_first``, (B, Q, D).
        key (Tensor, optional): Not used.
        value (Tensor, optional): (S, B, D) or (B, S, D). Defaults to
            ``query``.
        identity (Tensor, optional): What the result is added to. Defaults to
            ``query``.
        query_pos (Tensor, optional): Added to ``query``.
        key_padding_mask (Tensor, optional): True where a key is none, (B, S).
        reference_points (Tensor): (B, Q, L, 2 or 4).
        spatial_shapes (Tensor): (L, 2).
        level_start_index (Tensor, optional): Not used.
        **kwargs: Passed to mmcv's method.

    Returns:
        Tensor: Of the shape of ``query``.
    """
    keys = query if value is None else value
    if ('residual' in kwargs or
            not _supported(self, query, keys, reference_points, spatial_shapes)
            or not available()):
        if identity is not None:  # which is the new name of ``residual``
            kwargs['identity'] = identity
        return mmcv_forward(
            self,
            query,
            key,
            value,
            query_pos=query_pos,
            key_padding_mask=key_padding_mask,
            reference_points=reference_points,
            spatial_shapes=spatial_shapes,
            level_start_index=level_start_index,
            **kwargs)
    identity = query if identity is None else identity
    query = query if query_pos is None else query + query_pos
    if not self.batch_first:
        query, keys = query.transpose(0, 1), keys.transpose(0, 1)
    out = self.output_proj(
        _sampled(self, query, keys, key_padding_mask, reference_points,
                 spatial_shapes))
    if not self.batch_first:
        out = out.transpose(0, 1)
    return self.dropout(out) + identity


def _sampled(module, query, keys, mask, references, sizes):
    """What the heads see; query (B, Q, D) and keys (B, S, D)."""
    value = module.value_proj(keys)
    if mask is not None:
        value = value.masked_fill(mask[..., None], 0.0)
    heads, points = module.num_heads, module.num_levels * module.num_points
    shape = *query.shape[:2], heads, points
    return CPUDeformableAttention.apply(
        value.view(*value.shape[:2], heads, -1), sizes, references,
        module.sampling_offsets(query).view(*shape, 2),
        module.attention_weights(query).view(shape))


def _supported(module, query, value, references, sizes):
    """Whether the kernels may touch these; they check no index."""
    floats = query, value, references
    if (torch.jit.is_tracing() or torch.is_autocast_enabled('cpu')
            or not all(map(_plain,
                           (*floats, sizes))) or sizes.dtype != torch.int64
            or any(t.dtype != torch.float32
                   for t in (*floats, *module.parameters()))):
        return False
    if query.dim() != 3 or value.dim() != 3 or not query.numel():
        return False
    first = int(not module.batch_first)
    images, queries = query.shape[first], query.shape[1 - first]
    shape = images, queries, module.num_levels
    if (value.shape[first] != images or sizes.shape != (shape[2], 2)
            or references.shape not in ((*shape, 2), (*shape, 4))):
        return False
    pairs = sizes.tolist()
    keys = sum(height * width for height, width in pairs)
    return min(map(min, pairs)) > 0 and value.shape[1 - first] == keys


def _plain(tensor):
    return (type(tensor) in (torch.Tensor, torch.nn.Parameter)
            and tensor.device.type == 'cpu' and tensor.layout == torch.strided)


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
    if (choice == 'mmcv'
            or MultiScaleDeformableAttention.forward is cpu_forward):
        return False
    MultiScaleDeformableAttention.forward = cpu_forward
    return True


def use_mmcv_attention():
    """Undo :func:`use_fast_cpu_attention`."""
    MultiScaleDeformableAttention.forward = mmcv_forward


@contextlib.contextmanager
def fast_cpu_attention():
    """:func:`use_fast_cpu_attention` for a while; also a decorator."""
    changed = use_fast_cpu_attention()
    try:
        yield
    finally:
        if changed:
            use_mmcv_attention()
