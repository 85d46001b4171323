"""What takes the place of an object that is painted out.

Every function takes an image (uint8), a mask of all that is painted, the
regions of that, and returns an image whose masked pixels are the new ones.
"""
import math

import cv2
import numpy as np

# Places that are tried for a piece without any object, in this image and in
# every other one.
_TRIES = 30
_DONORS = 5
# Sizes of a piece of the same image, as shares of what it is to cover, and
# pixels that it has at least.
_SHARES, _LEAST = (1., .75, .5, .35), 8
# Points of the border, and of the grid that the surface between them is
# computed on; share of the border that must be free of objects, or they count.
_POINTS, _GRID, _FREE = 256, 64, .2


def fill_telea(image, mask, regions, radius=None, **_):
    """Inpainting from the border inwards, by OpenCV."""
    return cv2.inpaint(image, mask, radius or 3., cv2.INPAINT_TELEA)


def fill_blur(image, mask, regions, radius=None, **_):
    """Gaussian blur of each region with what is around it."""
    filled = image.copy()
    for x1, y1, x2, y2 in regions:
        sigma = radius or max(x2 - x1, y2 - y1) / 2
        # No pixel further away counts.
        reach = math.ceil(3 * sigma) + 1
        left, top = max(0, x1 - reach), max(0, y1 - reach)
        part = image[top:y2 + reach, left:x2 + reach]
        part = cv2.GaussianBlur(part, (0, 0), sigma).reshape(part.shape)
        filled[y1:y2, x1:x2] = part[y1 - top:y2 - top, x1 - left:x2 - left]
    return filled


def fill_mean(image, mask, regions, radius=None, **_):
    """The mean colour of a ring around each region."""
    filled, width = image.copy(), math.ceil(radius or 3)
    for x1, y1, x2, y2 in regions:
        around = (slice(max(0, y1 - width),
                        y2 + width), slice(max(0, x1 - width), x2 + width))
        known = mask[around] == 0
        pixels = image[around][known] if known.any() else image[mask == 0]
        filled[y1:y2, x1:x2] = pixels.mean(0).round()
    return filled


def fill_paste(image,
               mask,
               regions,
               margins=(),
               rng=None,
               others=(),
               donors=None,
               **_):
    """A piece of this image, or of another one, for each region."""
    busy = _with_boxes(mask, others)
    filled = image.copy()
    for (x1, y1, x2, y2), margin in zip(regions, margins):
        piece = _find_piece(image, mask, busy, (y2 - y1, x2 - x1), rng, donors)
        if piece is None:
            known = (slice(y1, y2), slice(x1, x2))
            piece = fill_telea(image, mask, regions)[known]
        share = _ramp(image.shape[:2], (x1, y1, x2, y2), margin)
        share = share.reshape(share.shape + (1, ) * (image.ndim - 2))
        # The old pixels of the margin fade out; of the object is none left.
        old = filled[y1:y2, x1:x2].astype(float)
        mixed = share * piece.reshape(old.shape) + (1 - share) * old
        filled[y1:y2, x1:x2] = mixed.round()
    return filled


def fill_blend(image,
               mask,
               regions,
               margins=(),
               rng=None,
               others=(),
               donors=None,
               **_):
    """A piece of this image, if need be a smaller one unfolded, without seam.

    To the piece a smooth surface is added that makes its border that of the
    surroundings (instant cloning; Farbman et al., Coordinates for Instant
    Image Cloning, SIGGRAPH 2009, here weighted by inverse squared distances).
    """
    busy = _with_boxes(mask, others)

    def other_piece(region):
        x1, y1, x2, y2 = region
        piece = _find_piece(image, mask, busy, (y2 - y1, x2 - x1), rng, donors)
        if piece is None:
            piece = fill_telea(image, mask, regions)[y1:y2, x1:x2]
        return piece

    filled = blend(image, mask, regions, others, rng, other_piece)
    return np.clip(filled, 0, 255).round().astype(np.uint8)


def blend(values, mask, regions, others, rng, other_piece=None):
    """What :func:`fill_blend` does, of values without bounds.

    Args:
        values (ndarray): (H, W) or (H, W, channels).
        mask (ndarray): Not 0 where something is taken out, (H, W).
        regions (list[tuple[int]]): x1, y1, x2, y2 of all of that.
        others (Sequence): Boxes that pieces avoid.
        rng (numpy.random.Generator): What pieces are chosen by.
        other_piece (Callable, optional): Gives the piece of a region where
            ``values`` has no free place; default: the surface alone.

    Returns:
        ndarray: Floats; outside the regions the same values.
    """
    busy = _with_boxes(mask, others)
    filled = values.astype(float)
    for region in regions:
        x1, y1, x2, y2 = region
        size = y2 - y1, x2 - x1
        piece = _unfolded(values, busy, size, rng)
        if piece is None:
            piece = other_piece(region) if other_piece else np.zeros(
                size + values.shape[2:])
        piece = piece.reshape(*size, -1).astype(float)
        made = piece + _surface(values, mask, busy, region, piece)
        filled[y1:y2, x1:x2] = made.reshape(filled[y1:y2, x1:x2].shape)
    return filled


def _with_boxes(mask, boxes):
    """The mask with some boxes in it, too."""
    busy = mask.copy()
    for x1, y1, x2, y2 in boxes:
        busy[y1:y2, x1:x2] = 1
    return busy


def _unfolded(image, busy, size, rng):
    """A free piece of an image, mirrored until it is large enough."""
    for share in _SHARES:
        small = [max(_LEAST, math.ceil(share * s)) for s in size]
        small = [min(a, b) for a, b in zip(small, size)]
        place = _free_place(busy, small, rng)
        if place is not None:
            extra = [(0, s - t) for s, t in zip(size, small)]
            return np.pad(image[place], extra + [(0, 0)] * (image.ndim - 2),
                          'symmetric')
    return None


def _surface(image, mask, busy, region, piece):
    """What has to be added to a piece, (h, w, channels).

    The colours around it are those of pixels without any object, where there
    are some.
    """
    x1, y1, x2, y2 = region
    height, width = piece.shape[:2]
    ys, xs = np.mgrid[y1 - 1:y2 + 1, x1 - 1:x2 + 1]
    ring = np.ones(ys.shape, bool)
    ring[1:-1, 1:-1] = False
    ring &= (ys >= 0) & (ys < image.shape[0])
    ring &= (xs >= 0) & (xs < image.shape[1])
    ys, xs = ys[ring], xs[ring]
    known = busy[ys, xs] == 0
    if known.sum() < _FREE * len(ys):
        known = mask[ys, xs] == 0
    if not known.any():
        return np.zeros_like(piece)
    step = math.ceil(known.sum() / _POINTS)
    ys, xs = ys[known][::step], xs[known][::step]
    # The pixel of the piece beside each one of the ring.
    own = piece[np.clip(ys - y1, 0, height - 1),
                np.clip(xs - x1, 0, width - 1)]
    gaps = image[ys, xs].reshape(len(ys), -1) - own
    coarse = [min(_GRID, n) for n in (height, width)]
    rows, columns = ((np.arange(n) + .5) * size / n - .5
                     for n, size in zip(coarse, (height, width)))
    distance = (rows[:, None, None] + y1 - ys)**2 + (columns[:, None] + x1 -
                                                     xs)**2
    weights = 1 / distance
    weights /= weights.sum(-1, keepdims=True)
    found = weights @ gaps
    if coarse != [height, width]:
        # OpenCV takes a few channels at a time.
        found = np.dstack([
            cv2.resize(
                found[..., i:i + 4], (width, height),
                interpolation=cv2.INTER_LINEAR)
            for i in range(0, found.shape[-1], 4)
        ])
    return found.reshape(piece.shape)


def _find_piece(image, mask, busy, size, rng, donors):
    """A piece of an image without an object; None if there is none at all.

    Where this image has no such place, others are asked; the last resort is
    a place of this image where nothing goes.
    """
    found = _free_place(busy, size, rng)
    for _ in range(_DONORS if found is None and donors else 0):
        other, boxes = donors(rng.random())
        if other.ndim != image.ndim:
            continue
        theirs = np.zeros(other.shape[:2], np.uint8)
        for x1, y1, x2, y2 in boxes:
            theirs[max(0, math.floor(y1)):math.ceil(y2),
                   max(0, math.floor(x1)):math.ceil(x2)] = 1
        place = _free_place(theirs, size, rng)
        if place is not None:
            return other[place]
    if found is None:
        found = _free_place(mask, size, rng)
    return None if found is None else image[found]


def _free_place(busy, size, rng):
    """Slices of a place where nothing is, or None."""
    room = [b - s + 1 for b, s in zip(busy.shape, size)]
    if min(room) < 1:
        return None
    for _ in range(_TRIES):
        y, x = (int(rng.integers(r)) for r in room)
        place = slice(y, y + size[0]), slice(x, x + size[1])
        if not busy[place].any():
            return place
    return None


def _ramp(shape, region, margin):
    """How much of a piece every pixel of a region gets, in (0, 1].

    1 from ``margin`` pixels inside the region on; no fading at the borders
    of the image.
    """
    x1, y1, x2, y2 = region
    ramps = []
    for first, last, end in ((y1, y2, shape[0]), (x1, x2, shape[1])):
        near = np.arange(last - first) + 1.
        ramp = np.ones(last - first)
        if margin >= 1:
            if first > 0:
                ramp = np.minimum(ramp, near / (margin + 1))
            if last < end:
                ramp = np.minimum(ramp, near[::-1] / (margin + 1))
        ramps.append(ramp)
    return np.minimum(*np.meshgrid(*ramps, indexing='ij'))
