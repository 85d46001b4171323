"""Objects taken out of feature maps, and not of images."""
import math
from contextlib import contextmanager

import numpy as np
import torch

from ..datasets.painting_fills import blend
from ..models.block_features import watching


@contextmanager
def blended_maps(model, regions, others, seed=0):
    """Let a detector see maps from which objects are taken out.

    Every cell of what the neck gives to the encoder that a region touches is
    filled as ``fill='blend'`` fills pixels, with a piece of the same map. The
    image stays as it is, so that cells beside a region still know of the
    object, by their receptive field.

    Args:
        model (DetrForgettingMixin): In inference mode.
        regions (list[list]): Of each image what is taken out, x1, y1, x2, y2
            as shares of the batch's width and height.
        others (list[list]): Of each image what pieces avoid, likewise.
        seed (int): What pieces are chosen by. Defaults to 0.
    """
    rng = np.random.default_rng(seed)

    def hook(module, args, maps):
        return type(maps)(
            torch.stack([
                _without(image, *boxes, rng)
                for image, *boxes in zip(level, regions, others)
            ]) for level in maps)

    part = model.neck if model.with_neck else model.backbone
    with watching([part.register_forward_hook(hook)]):
        yield


def _without(level, regions, others, rng):
    """One map (D, h, w) of one image."""
    regions, others = (
        _cells(boxes, level.shape[1:]) for boxes in (regions, others))
    mask = np.zeros(level.shape[1:], np.uint8)
    for x1, y1, x2, y2 in regions:
        mask[y1:y2, x1:x2] = 1
    if not regions or mask.all():
        # Nothing is left to take a piece from.
        return level.mean((1, 2), True).expand_as(level) if regions else level
    filled = blend(
        level.permute(1, 2, 0).float().cpu().numpy(), mask, regions, others,
        rng)
    filled = torch.as_tensor(filled).permute(2, 0, 1).to(level)
    return torch.where(
        torch.as_tensor(mask).bool().to(level.device), filled, level)


def _cells(boxes, shape):
    """The cells of a map that boxes touch, x1, y1, x2, y2 of each."""
    height, width = shape
    found = []
    for x1, y1, x2, y2 in boxes:
        cells = (max(0, math.floor(x1 * width)), max(0,
                                                     math.floor(y1 * height)),
                 min(width,
                     math.ceil(x2 * width)), min(height,
                                                 math.ceil(y2 * height)))
        if cells[0] < cells[2] and cells[1] < cells[3]:
            found.append(cells)
    return found
