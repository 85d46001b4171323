"""Machine code for ``cpu_deformable_attention.py``, made by numba.

numba takes seconds to import and to compile; imported at the first use.

Each kernel works on some of the (image, head) pairs and writes nothing that
belongs to another pair: the pairs may be shared out among threads in any way,
and every sum is still made by one of them, in the same order.

The maps of a pair are copied into one contiguous block, each inside a border
of zeros: the four neighbours of every point that touches its map are there,
and none has to be asked whether it is. Rows are adjacent as the points need
them, where in ``value`` all other heads lie between.

Not-a-number must stay one, so that of ``fastmath`` only those parts are on
that make sums fast.
"""
import numpy as np
from numba import boolean, float32, int64, njit

_HALF, _ONE, _TWO = np.float32(.5), np.float32(1), np.float32(2)
_ZERO, _NEXT = np.float32(0), np.uint64(1)
_FAST = dict(error_model='numpy', fastmath={'contract', 'reassoc'})


@njit(error_model='numpy')
def _pixel(location, size):
    """A location in units of pixels, rounded as ``F.grid_sample`` does."""
    grid = _TWO * location - _ONE
    return (grid + _ONE) * (np.float32(size) * _HALF) - _HALF


@njit(error_model='numpy')
def _touches(x, y, width, height):
    """Whether a point has a neighbour in the map; not-a-number has none."""
    return -1 <= x and x < width and -1 <= y and y < height


@njit(error_model='numpy')
def _padded_rows(sizes, keys):
    """Row of every key among the padded maps, and the number of rows."""
    rows = np.empty(keys, np.int64)
    key = start = 0
    for level in range(len(sizes)):
        height, width = sizes[level, 0], sizes[level, 1]
        for i in range(height):
            for j in range(width):
                rows[key] = start + (i + 1) * (width + 2) + j + 1
                key += 1
        start += (height + 2) * (width + 2)
    return rows, start


@njit(error_model='numpy')
def _padded(value, rows, count, image, head):
    """The maps of one pair with their borders, (count, channels)."""
    padded = np.zeros((count, value.shape[3]), np.float32)
    for key in range(len(rows)):
        for d in range(value.shape[3]):
            padded[rows[key], d] = value[image, key, head, d]
    return padded


@njit(**_FAST)
def _neighbours(x, y, start, width):
    """Padded rows of the neighbours at the upper and at the lower left.

    Unsigned: numba asks of other indices whether they count from the end.
    """
    row = start + (int(np.floor(y)) + 1) * (width + 2) + int(np.floor(x)) + 1
    return np.uint64(row), np.uint64(row + width + 2)


@njit(**_FAST)
def _shares(x, y):
    """What the left, right, upper and lower neighbours count."""
    right, lower = x - np.floor(x), y - np.floor(y)
    return _ONE - right, right, _ONE - lower, lower


@njit(inline='always', **_FAST)
def _add(padded, row, scale, grad, image, query, head):
    for d in range(grad.shape[3]):
        padded[row, d] += scale * grad[image, query, head, d]


@njit(inline='always', **_FAST)
def _dots(padded, row, below, grad, image, query, head):
    """Products of the gradient with the four neighbours."""
    a = b = c = e = _ZERO
    for d in range(grad.shape[3]):
        g = grad[image, query, head, d]
        a += g * padded[row, d]
        b += g * padded[row + _NEXT, d]
        c += g * padded[below, d]
        e += g * padded[below + _NEXT, d]
    return a, b, c, e


def _forward(value, sizes, locations, weights, out, first, last):
    """Sample and sum; see ``CPUDeformableAttention``."""
    heads, channels = value.shape[2:]
    queries, levels, points = weights.shape[1], *weights.shape[3:]
    rows, count = _padded_rows(sizes, value.shape[1])
    for pair in range(first, last):
        i, h = pair // heads, pair % heads
        maps = _padded(value, rows, count, i, h)
        for q in range(queries):
            for d in range(channels):
                out[i, q, h, d] = _ZERO
            start = 0
            for lv in range(levels):
                height, width = sizes[lv, 0], sizes[lv, 1]
                for p in range(points):
                    x = _pixel(locations[i, q, h, lv, p, 0], width)
                    y = _pixel(locations[i, q, h, lv, p, 1], height)
                    weight = weights[i, q, h, lv, p]
                    if not _touches(x, y, width, height):
                        # Zero, unless one of them is not a number.
                        nothing = (x * _ZERO + y * _ZERO) * weight
                        for d in range(channels):
                            out[i, q, h, d] += nothing
                        continue
                    row, below = _neighbours(x, y, start, width)
                    left, right, upper, lower = _shares(x, y)
                    a, b = weight * upper * left, weight * upper * right
                    c, e = weight * lower * left, weight * lower * right
                    for d in range(channels):
                        out[i, q, h, d] += (
                            a * maps[row, d] + b * maps[row + _NEXT, d] +
                            c * maps[below, d] + e * maps[below + _NEXT, d])
                start += (height + 2) * (width + 2)


def _backward(value, sizes, locations, weights, grad, grad_value,
              grad_locations, grad_weights, to_value, to_points, first, last):
    """Gradients of ``_forward``: for the values, for the points, or both."""
    heads, channels = value.shape[2:]
    queries, levels, points = weights.shape[1], *weights.shape[3:]
    rows, count = _padded_rows(sizes, value.shape[1])
    for pair in range(first, last):
        i, h = pair // heads, pair % heads
        maps = _padded(value, rows, count, i, h)
        grad_maps = np.zeros_like(maps)
        for q in range(queries):
            # What a neighbour outside the map gives: zero, if all is finite.
            outside = _ZERO
            for d in range(channels):
                outside += grad[i, q, h, d] * _ZERO
            start = 0
            for lv in range(levels):
                height, width = sizes[lv, 0], sizes[lv, 1]
                for p in range(points):
                    x = _pixel(locations[i, q, h, lv, p, 0], width)
                    y = _pixel(locations[i, q, h, lv, p, 1], height)
                    weight = weights[i, q, h, lv, p]
                    if _touches(x, y, width, height):
                        row, below = _neighbours(x, y, start, width)
                        left, right, upper, lower = _shares(x, y)
                        if to_value:
                            up, down = weight * upper, weight * lower
                            _add(grad_maps, row, up * left, grad, i, q, h)
                            _add(grad_maps, row + _NEXT, up * right, grad, i,
                                 q, h)
                            _add(grad_maps, below, down * left, grad, i, q, h)
                            _add(grad_maps, below + _NEXT, down * right, grad,
                                 i, q, h)
                        a, b, c, e = _dots(maps, row, below, grad, i, q, h)
                        total = outside + (
                            upper * (left * a + right * b) + lower *
                            (left * c + right * e))
                        along_x = outside + upper * (b - a) + lower * (e - c)
                        along_y = outside + left * (c - a) + right * (e - b)
                    else:
                        # Zero, unless one of them is not a number.
                        total = x * _ZERO + y * _ZERO + outside
                        along_x = along_y = total
                    if to_points:
                        along_x *= weight * np.float32(width)
                        along_y *= weight * np.float32(height)
                        grad_weights[i, q, h, lv, p] = total
                        grad_locations[i, q, h, lv, p, 0] = along_x
                        grad_locations[i, q, h, lv, p, 1] = along_y
                start += (height + 2) * (width + 2)
        if to_value:
            for key in range(len(rows)):
                for d in range(channels):
                    grad_value[i, key, h, d] = grad_maps[rows[key], d]


def _compiled(function, *types):
    """The machine code, from numba's cache where there can be one."""
    for cache in (True, False):
        try:
            return njit(types, cache=cache, nogil=True, **_FAST)(function)
        except Exception:  # no folder to write to, a full disk, a broken file
            if not cache:
                raise


_MAPS, _WEIGHTS = float32[:, :, :, ::1], float32[:, :, :, :, ::1]
_LOCATIONS = float32[:, :, :, :, :, ::1]
_INPUTS = (_MAPS, int64[:, ::1], _LOCATIONS, _WEIGHTS)
forward = _compiled(_forward, *_INPUTS, _MAPS, int64, int64)
backward = _compiled(_backward, *_INPUTS, _MAPS, _MAPS, _LOCATIONS, _WEIGHTS,
                     boolean, boolean, int64, int64)
