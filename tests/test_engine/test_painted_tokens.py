"""Feature maps from which objects are taken out."""
import numpy as np
import pytest
import torch
from torch import nn

from gslora_mm.engine.painted_tokens import blended_maps


class Neck(nn.Module):
    """Two maps, of strides 4 and 8."""

    def forward(self, inputs):
        return inputs[..., ::4, ::4], inputs[..., ::8, ::8]


class Model(nn.Module):
    with_neck = True

    def __init__(self):
        super().__init__()
        self.neck = Neck()


def run(image, regions, others=((), ), seed=0):
    """Both maps as they are, and as the encoder gets them."""
    model = Model()
    plain = model.neck(image)
    height, width = image.shape[-2:]
    shares = [[
        np.reshape(boxes, (-1, 4)) / (width, height, width, height)
        for boxes in part
    ] for part in (regions, others)]
    with blended_maps(model, *shares, seed):
        found = model.neck(image)
    assert all(map(torch.equal, model.neck(image), plain))
    return plain, found


def touched(box, stride, shape):
    """Which cells a box touches, one by one."""
    x1, y1, x2, y2 = box
    return np.array([[
        x1 < (x + 1) * stride and x2 > x * stride and y1 < (y + 1) * stride
        and y2 > y * stride for x in range(shape[1])
    ] for y in range(shape[0])])


def test_every_cell_that_a_region_touches():
    """Where all else is alike nothing is left of the object."""
    image = torch.rand(
        1, 300, 1, 1, dtype=torch.float64).expand(-1, -1, 64, 96).clone()
    box = (17, 22, 41, 45)
    image[..., 22:45, 17:41] = 9.
    plain, found = run(image, [[box]])
    for stride, before, after in zip((4, 8), plain, found):
        assert after.dtype == before.dtype
        inside = touched(box, stride, before.shape[-2:])
        assert torch.equal(before[0][:, ~inside], after[0][:, ~inside])
        there = image[0, :, 0, 0]
        assert (before[0][:, inside] == 9).any()
        torch.testing.assert_close(
            after[0][:, inside],
            there[:, None].expand(-1, inside.sum()),
            atol=1e-5,
            rtol=0)


def test_pieces_are_of_the_same_map():
    """And the surface brings their border to what is around."""
    ramp = torch.arange(96.).expand(1, 2, 64, 96).clone()
    box = (32, 16, 64, 48)
    ramp[..., 16:48, 32:64] = -500.
    for seed in range(4):
        _, found = run(ramp, [[box]], seed=seed)
        assert (found[0] > -100).all() and (found[1] > -100).all()
        # Continued from side to side.
        gap = found[0][0, 0, 4:12, 8:16] - torch.arange(32., 64., 4.)
        assert gap.abs().max() < 12


def test_images_without_and_all_over():
    image = torch.rand(2, 3, 32, 32)
    plain, found = run(image, [[], [(0, 0, 32, 32)]], [[], []])
    for before, after in zip(plain, found):
        assert torch.equal(before[0], after[0])
        assert (after[1] == after[1][:, :1, :1]).all()
        torch.testing.assert_close(after[1][:, 0, 0], before[1].mean((1, 2)))


@pytest.mark.parametrize('others', [(), ((0, 0, 40, 64), )])
def test_no_free_piece_is_the_surroundings(others):
    image = torch.rand(1, 3, 64, 64)
    image[..., 16:48, 40:64] = 50.
    _, found = run(image, [[(40, 16, 64, 48)]], [others])
    assert (found[0] < 3).all()


def test_regions_larger_than_the_grid_of_the_surface():
    image = torch.ones(1, 150, 288, 288)
    image[..., 2:278, 2:278] = 7.
    _, found = run(image, [[(2, 2, 278, 278)]])
    torch.testing.assert_close(found[0], torch.ones_like(found[0]))
