"""Painting objects out of images."""
import math

import numpy as np

from ..utils.errors import ForgetError
from .painting_fills import (fill_blend, fill_blur, fill_mean, fill_paste,
                             fill_telea)

_FILLS = dict(
    telea=fill_telea,
    blur=fill_blur,
    mean=fill_mean,
    paste=fill_paste,
    blend=fill_blend)
FILLS = tuple(_FILLS)


class Painter:
    """Takes objects out of an image: their boxes are filled.

    Args:
        fill (str): ``'telea'``: inpainted from the surroundings (Telea,
            Journal of Graphics Tools 9, 2004; OpenCV's); ``'blur'``: blurred
            with what is around it; ``'mean'``: the mean colour of a ring
            around the box; ``'paste'``: a piece of the same size from the
            same image, or from another one, that shows no object where
            there is such a piece, and none that goes in any case; its edges
            fade in over the margin; ``'blend'``: a piece of the same image,
            unfolded by mirrors where no free place is as large, brought to
            the colours around it by a smooth surface (after Farbman et al.,
            SIGGRAPH 2009). Defaults to ``'blend'``.
        margin (float): Pixels that a box is dilated by on every side. What
            bleeds over the edge of a box would give the object away.
            Defaults to 2.
        margin_ratio (float): The same as a share of its width and height,
            added to it. Defaults to 0.
        radius (float, optional): In pixels; of the surroundings that Telea
            looks at (default 3), the sigma of the blur (default half of the
            longer side of the box), the width of the ring of the mean
            (default 3).
        spare (float): Where a box of what stays overlaps one of what goes,
            it is left as it is, or the teacher would learn of an object that
            is cut; unless such boxes take more than this share of the one
            that goes. 0 paints whole boxes. Defaults to 0.5.

    Raises:
        ForgetError: If an argument is out of range.
    """

    def __init__(self,
                 fill='blend',
                 margin=2.,
                 margin_ratio=0.,
                 radius=None,
                 spare=.5):
        if fill not in FILLS:
            raise ForgetError(f'forget.painting.fill is {fill!r}; it must be '
                              f'one of {", ".join(FILLS)}')
        for name, value in dict(
                margin=margin, margin_ratio=margin_ratio,
                radius=radius).items():
            number = isinstance(value,
                                (int, float)) and not isinstance(value, bool)
            if name == 'radius' and (value is None or number and value > 0):
                continue
            if name == 'radius' or not number or not 0 <= value < math.inf:
                raise ForgetError(f'forget.painting.{name} is {value!r}; it '
                                  'must be a number of 0 or more, a radius '
                                  'above 0')
        if isinstance(
                spare,
                bool) or not isinstance(spare,
                                        (int, float)) or not 0 <= spare <= 1:
            raise ForgetError(f'forget.painting.spare is {spare!r}; it must '
                              'be a number from 0 to 1')
        self.fill, self.radius, self.spare = fill, radius, spare
        self.margin, self.margin_ratio = margin, margin_ratio

    def regions(self, boxes, shape):
        """The pixels that are painted.

        Args:
            boxes (Sequence): Boxes x1, y1, x2, y2 in pixels.
            shape (tuple[int]): Height and width of the image.

        Returns:
            list[tuple[int]]: x1, y1, x2, y2 of every dilated box, in whole
            pixels, the last ones not included; none of what lies outside.
        """
        height, width = shape[:2]
        found = []
        for x1, y1, x2, y2 in boxes:
            dx = self.margin + self.margin_ratio * (x2 - x1)
            dy = self.margin + self.margin_ratio * (y2 - y1)
            region = (max(0, math.floor(x1 - dx)), max(0, math.floor(y1 - dy)),
                      min(width,
                          math.ceil(x2 + dx)), min(height, math.ceil(y2 + dy)))
            if region[0] < region[2] and region[1] < region[3]:
                found.append(region)
        return found

    def __call__(self, image, boxes, seed=0, others=(), donors=None):
        """Paint boxes out of an image.

        Args:
            image (ndarray): Height x width (x channels), uint8 or float of 0
                to 255; left as it is.
            boxes (Sequence): Boxes x1, y1, x2, y2 of what goes, in pixels.
            seed (int | Sequence[int]): What a piece is chosen by.
            others (Sequence): Boxes of what stays: a piece avoids them, and
                they are spared.
            donors (Callable, optional): Gives another image with boxes of
                all that it shows, by a number in [0, 1).

        Returns:
            ndarray: A new image; outside the dilated boxes, and where what
            stays is spared, it is the same.

        Raises:
            ForgetError: If OpenCV cannot paint such an image.
        """
        regions = self.regions(boxes, image.shape)
        pixels = image
        if image.dtype != np.uint8:
            pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        if pixels.ndim != 2 and pixels.shape[-1] not in (1, 3):
            raise ForgetError(
                f'images of {pixels.shape[-1]} channels cannot be painted; '
                'load them in colour or grey (LoadImageFromFile with '
                "color_type='color')")
        mask = np.zeros(pixels.shape[:2], np.uint8)
        for x1, y1, x2, y2 in regions:
            mask[y1:y2, x1:x2] = 1
        if mask.all():
            # Nothing is left to paint from.
            filled = np.empty_like(pixels)
            filled[:] = pixels.mean((0, 1)).round()
        else:
            filled = _FILLS[self.fill](
                pixels,
                mask,
                regions,
                radius=self.radius,
                margins=self._margins(boxes, image.shape),
                rng=np.random.default_rng(seed),
                others=self.regions(others, image.shape),
                donors=donors)
        inside = self._inside(boxes, others, image.shape)
        painted = image.copy()
        painted[inside] = filled.reshape(image.shape)[inside]
        return painted

    def _inside(self, boxes, others, shape):
        """ndarray: Which pixels are new, of the image's height and width."""
        stays = np.zeros(shape[:2], bool)
        for x1, y1, x2, y2 in _whole(others):
            stays[y1:y2, x1:x2] = True
        inside = np.zeros(shape[:2], bool)
        for box in boxes:
            ((x1, y1, x2, y2), ) = _whole([box])
            share = stays[y1:y2, x1:x2]
            spared = self.spare and share.size and (share.mean() <= self.spare)
            for x1, y1, x2, y2 in self.regions([box], shape):
                part = slice(y1, y2), slice(x1, x2)
                inside[part] |= ~stays[part] if spared else True
        return inside

    def _margins(self, boxes, shape):
        """Margin of every region, in pixels."""
        return [
            self.margin + self.margin_ratio * min(b[2] - b[0], b[3] - b[1])
            for b in boxes if self.regions([b], shape)
        ]


def _whole(boxes):
    """list[tuple[int]]: The whole pixels that boxes touch, of any image."""
    return [(max(0, math.floor(x1)), max(0, math.floor(y1)),
             max(0, math.ceil(x2)), max(0, math.ceil(y2)))
            for x1, y1, x2, y2 in boxes]
