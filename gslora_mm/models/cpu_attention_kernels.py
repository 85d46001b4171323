"""Machine code for ``cpu_attention_function.py``, made by numba.

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
import math

import numpy as np
from numba import boolean, float32, int64, njit

_HALF, _ONE, _TWO = np.float32(.5), np.float32(1), np.float32(2)
_ZERO, _NEXT = np.float32(0), np.uint64(1)
_FAST = dict(error_model='numpy', fastmath={'contract', 'reassoc'})


@njit(error_model='numpy')
def _pixel(reference, shift, size):
    """A point in units of pixels, rounded as ``F.grid_sample`` does."""
    grid = _TWO * (reference + shift) - _ONE
    return (grid + _ONE) * (np.float32(size) * _HALF) - _HALF


@njit(error_model='numpy')
def _touches(x, y, width, height):
    """Whether a point has a neighbour in the map; not-a-number has none."""
    return -1 <= x and x < width and -1 <= y and y < height


@njit(error_model='numpy')
def _point(references, offsets, i, n, k, level, share, width, height):
    """x and y of a sampling point in pixels.

    Around reference points the offsets are in pixels; around boxes in halves
    of their sides, shared by the points. Rounded as mmcv does.
    """
    x, y = offsets[n, k, 0], offsets[n, k, 1]
    if references.shape[2] == 4:
        x = x / share * references[i, level, 2] * _HALF
        y = y / share * references[i, level, 3] * _HALF
    else:
        x, y = x / np.float32(width), y / np.float32(height)
    return (_pixel(references[i, level, 0], x,
                   width), _pixel(references[i, level, 1], y, height))


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
def _fill(maps, value, rows, image, head):
    """Copy the maps of one pair into their borders."""
    for key in range(len(rows)):
        for d in range(value.shape[3]):
            maps[rows[key], d] = value[image, key, head, d]


@njit(**_FAST)
def _softmax(logits, weights, n):
    """Shares of the points of one query and head."""
    largest, total = logits[n, 0], _ZERO
    for k in range(1, logits.shape[1]):
        if logits[n, k] > largest:
            largest = logits[n, k]
    for k in range(logits.shape[1]):
        weights[n, k] = math.exp(logits[n, k] - largest)
        total += weights[n, k]
    for k in range(logits.shape[1]):
        weights[n, k] /= total


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
def _gather(total, maps, row, below, a, b, c, e):
    """Add the four neighbours, each with its share."""
    for d in range(len(total)):
        total[d] += (
            a * maps[row, d] + b * maps[row + _NEXT, d] + c * maps[below, d] +
            e * maps[below + _NEXT, d])


@njit(inline='always', **_FAST)
def _scatter(maps, row, scale, other, grad):
    """Add the gradient to two neighbours, to each its share."""
    for d in range(len(grad)):
        maps[row, d] += scale * grad[d]
        maps[row + _NEXT, d] += other * grad[d]


@njit(inline='always', **_FAST)
def _dots(maps, row, below, grad):
    """Products of the gradient with the four neighbours."""
    a = b = c = e = _ZERO
    for d in range(len(grad)):
        a += grad[d] * maps[row, d]
        b += grad[d] * maps[row + _NEXT, d]
        c += grad[d] * maps[below, d]
        e += grad[d] * maps[below + _NEXT, d]
    return a, b, c, e


def _forward(value, sizes, references, offsets, logits, weights, out, first,
             last):
    """Weigh, sample and sum; see ``CPUDeformableAttention``."""
    heads, channels = value.shape[2:]
    queries, levels = len(references) // len(value), len(sizes)
    points = offsets.shape[1] // levels
    share = np.float32(points)
    rows, count = _padded_rows(sizes, value.shape[1])
    maps = np.zeros((count, channels), np.float32)
    total = np.empty(channels, np.float32)
    for pair in range(first, last):
        i, h = pair // heads, pair % heads
        _fill(maps, value, rows, i, h)
        for q in range(i * queries, (i + 1) * queries):
            n, r = np.uint64(q * heads + h), np.uint64(q)
            _softmax(logits, weights, n)
            total[:] = _ZERO
            start, outside = 0, _ZERO
            for lv in range(levels):
                height, width = sizes[lv, 0], sizes[lv, 1]
                for k in range(lv * points, (lv + 1) * points):
                    x, y = _point(references, offsets, r, n, np.uint64(k),
                                  np.uint64(lv), share, width, height)
                    weight = weights[n, np.uint64(k)]
                    if not _touches(x, y, width, height):
                        # Zero, unless one of them is not a number.
                        outside += (x * _ZERO + y * _ZERO) * weight
                        continue
                    row, below = _neighbours(x, y, start, width)
                    left, right, upper, lower = _shares(x, y)
                    up, down = weight * upper, weight * lower
                    _gather(total, maps, row, below, up * left, up * right,
                            down * left, down * right)
                start += (height + 2) * (width + 2)
            for d in range(channels):
                out[n, d] = total[d] + outside


def _backward(value, sizes, references, offsets, weights, grad, grad_value,
              grad_references, grad_offsets, grad_logits, to_value, to_points,
              to_references, first, last):
    """Gradients of ``_forward``: for the values, for the points, or both."""
    heads, channels = value.shape[2:]
    queries, levels = len(references) // len(value), len(sizes)
    points, boxes = offsets.shape[1] // levels, references.shape[2] == 4
    share, part = np.float32(points), _HALF / np.float32(points)
    rows, count = _padded_rows(sizes, value.shape[1])
    maps = np.zeros((count, channels), np.float32)
    grad_maps = np.empty_like(maps)
    local = np.zeros(channels, np.float32)
    for pair in range(first, last):
        i, h = pair // heads, pair % heads
        _fill(maps, value, rows, i, h)
        if to_value:
            grad_maps[:] = _ZERO
        for q in range(i * queries, (i + 1) * queries):
            n, r = np.uint64(q * heads + h), np.uint64(q)
            # What a neighbour outside the map gives: zero, if all is finite.
            outside = mean = _ZERO
            for d in range(channels):
                local[d] = grad[n, d]
                outside += local[d] * _ZERO
            start = 0
            for lv in range(levels):
                height, width = sizes[lv, 0], sizes[lv, 1]
                level = np.uint64(lv)
                sum_x = sum_y = sum_w = sum_h = _ZERO
                for number in range(lv * points, (lv + 1) * points):
                    k = np.uint64(number)
                    x, y = _point(references, offsets, r, n, k, level, share,
                                  width, height)
                    weight = weights[n, k]
                    if _touches(x, y, width, height):
                        row, below = _neighbours(x, y, start, width)
                        left, right, upper, lower = _shares(x, y)
                        if to_value:
                            up, down = weight * upper, weight * lower
                            _scatter(grad_maps, row, up * left, up * right,
                                     local)
                            _scatter(grad_maps, below, down * left,
                                     down * right, local)
                        a, b, c, e = _dots(maps, row, below, local)
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
                        along_x *= weight
                        along_y *= weight
                        mean += weight * total
                        grad_logits[n, k] = total
                        if boxes:
                            along_x *= np.float32(width) * part
                            along_y *= np.float32(height) * part
                            sum_w += along_x * offsets[n, k, 0]
                            sum_h += along_y * offsets[n, k, 1]
                        sum_x += along_x
                        sum_y += along_y
                        if boxes:
                            along_x *= references[r, level, 2]
                            along_y *= references[r, level, 3]
                        grad_offsets[n, k, 0] = along_x
                        grad_offsets[n, k, 1] = along_y
                if to_references:
                    scale_x, scale_y = np.float32(width), np.float32(height)
                    if boxes:
                        scale_x = scale_y = _ONE / part
                        grad_references[n, level, 2] = sum_w
                        grad_references[n, level, 3] = sum_h
                    grad_references[n, level, 0] = sum_x * scale_x
                    grad_references[n, level, 1] = sum_y * scale_y
                start += (height + 2) * (width + 2)
            if to_points:
                for k in range(levels * points):
                    grad_logits[n, k] = weights[n, k] * (
                        grad_logits[n, k] - mean)
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


_TWO_D, _THREE_D = float32[:, ::1], float32[:, :, ::1]
_MAPS = float32[:, :, :, ::1]
_INPUTS = (_MAPS, int64[:, ::1], _THREE_D, _THREE_D, _TWO_D)
forward = _compiled(_forward, *_INPUTS, _TWO_D, _TWO_D, int64, int64)
backward = _compiled(_backward, *_INPUTS, _TWO_D, _MAPS, _THREE_D, _THREE_D,
                     _TWO_D, boolean, boolean, boolean, int64, int64)
