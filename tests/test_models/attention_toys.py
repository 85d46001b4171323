"""Deformable attention by mmcv's function, and inputs for it."""
import warnings

import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmcv.ops.multi_scale_deform_attn import \
    multi_scale_deformable_attn_pytorch

# Images, heads, channels, queries, sizes of the levels, points.
CASES = dict(
    demo=(2, 8, 16, 30, [(16, 16), (8, 8), (4, 4), (2, 2)], 4),
    one_image=(1, 2, 16, 340, [(16, 16), (8, 8), (4, 4), (2, 2)], 4),
    odd=(3, 3, 5, 7, [(5, 9), (1, 4), (3, 1)], 2),
    one_pixel=(2, 2, 4, 6, [(1, 1), (1, 1)], 3),
    one_channel=(2, 1, 1, 3, [(2, 3)], 2),
    wide=(1, 2, 67, 9, [(4, 6)], 4))


def inputs(images, heads, channels, queries, sizes, points, form=2, spread=1):
    """Value, sizes, references, offsets (some far outside) and logits."""
    generator = torch.Generator().manual_seed(7)
    sizes, levels = torch.tensor(sizes), len(sizes)
    keys = int(sizes.prod(1).sum())
    shape = images, queries, heads, levels * points
    value = torch.randn(images, keys, heads, channels, generator=generator)
    references = torch.rand(images, queries, levels, form, generator=generator)
    offsets = torch.randn(*shape, 2, generator=generator) * 3 * spread
    logits = torch.randn(shape, generator=generator)
    return value, sizes, references, offsets, logits


def by_mmcv(value, sizes, references, offsets, logits):
    """Locations and weights as in mmcv's forward, then mmcv's function."""
    levels = len(sizes)
    offsets = offsets.unflatten(3, (levels, -1))
    around = references[:, :, None, :, None]
    if references.shape[-1] == 2:
        locations = around + offsets / sizes.flip(1)[:, None]
    else:
        locations = (
            around[..., :2] +
            offsets / offsets.shape[4] * around[..., 2:] * 0.5)
    weights = logits.softmax(-1).unflatten(3, (levels, -1))
    return multi_scale_deformable_attn_pytorch(value, sizes, locations,
                                               weights)


def results(function, args, wanted=(1, 1, 1, 1), dtype=torch.float32):
    """The output, and gradients of a random projection of it."""
    sizes = args[1]
    value, *points = (t.detach().to(dtype, copy=True).requires_grad_(bool(w))
                      for t, w in zip((args[0], *args[2:]), wanted))
    out = function(value, sizes, *points)
    projection = torch.randn(
        out.shape, generator=torch.Generator().manual_seed(8))
    (out * projection.to(dtype)).sum().backward()
    return [out, value.grad, *(p.grad for p in points)]


def assert_equal_up_to_rounding(found, expected, tolerance=1e-5):
    """Within the tolerance, relative to the largest entry."""
    assert len(found) == len(expected)
    for one, two in zip(found, expected):
        assert (one is None) == (two is None)
        if one is not None:
            assert one.shape == two.shape
            limit = tolerance * two.detach().abs().max() + 1e-30
            assert (one - two).abs().max() < limit


def module(heads=2, channels=8, levels=2, points=2, **options):
    """mmcv's module with parameters that all matter."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # on channels and CUDA
        made = MultiScaleDeformableAttention(
            heads * channels, heads, levels, points,
            **dict(dict(dropout=0.), **options))
    torch.manual_seed(3)
    for param in made.parameters():
        torch.nn.init.normal_(param, std=0.4)
    return made


def module_inputs(form=2, batch_first=True, **changes):
    """Keyword arguments of its forward: 2 images, 5 queries, 14 keys."""
    generator = torch.Generator().manual_seed(4)
    sizes = torch.tensor([[3, 4], [1, 2]])
    value = torch.randn(2, 14, 16, generator=generator)
    query, pos, identity = torch.randn(3, 2, 5, 16, generator=generator)
    if not batch_first:
        value, query, pos, identity = (
            t.transpose(0, 1) for t in (value, query, pos, identity))
    found = dict(
        query=query,
        value=value,
        identity=identity,
        query_pos=pos,
        key_padding_mask=torch.arange(14).expand(2, 14) % 5 == 3,
        reference_points=torch.rand(2, 5, 2, form, generator=generator),
        spatial_shapes=sizes,
        level_start_index=torch.tensor([0, 12]))
    found.update(changes)
    return {k: v for k, v in found.items() if v is not None}
