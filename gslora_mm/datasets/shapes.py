"""Images of shapes, drawn from a seed: the data behind the demo.

Fifteen shape classes, some of them alike (circle and ellipse, square and
rectangle, pentagon and hexagon), in any colour, size and rotation, on a
textured background: several in a scene, partly hidden by each other, for
detection, or a single large one for classification.
"""
import cv2
import numpy as np

SHAPES = ('circle', 'ellipse', 'ring', 'semicircle', 'crescent', 'triangle',
          'square', 'rectangle', 'pentagon', 'hexagon', 'star', 'cross',
          'arrow', 'heart', 'drop')
# For long sequences: three looks of twelve shapes that keep them apart.
LOOKS = ('solid', 'outlined', 'halved')
STYLED_SHAPES = tuple(f'{look}-{shape}'
                      for shape in ('semicircle', 'crescent', 'triangle',
                                    'square', 'rectangle', 'hexagon', 'star',
                                    'cross', 'arrow', 'heart', 'drop',
                                    'ellipse') for look in LOOKS)

_SUBPIXEL_BITS = 4
_DIM = .4
# Of outlines, in radii and in pixels.
_STROKE, _LEAST_STROKE = .15, 1.6


def _polar(angles, radius=1.0):
    return np.stack([np.cos(angles), np.sin(angles)], 1) * np.reshape(
        radius, (-1, 1))


def _regular(n):
    return _polar(np.arange(n) * 2 * np.pi / n - np.pi / 2)


def outline(name, rng):
    """Unit outline of a shape, centred, before scaling and rotation.

    Args:
        name (str): One of :data:`SHAPES`.
        rng (np.random.Generator): Draws the proportions that vary.

    Returns:
        np.ndarray: Polygon of shape (P, 2) inside the unit disc.

    Raises:
        KeyError: If ``name`` is no shape.
    """
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    half = np.linspace(0, np.pi, 24)
    if name in ('circle', 'ring'):
        return _polar(t)
    if name == 'ellipse':
        return _polar(t) * (1, rng.uniform(.42, .6))
    if name == 'semicircle':
        return _polar(half) - (0, .42)
    if name == 'crescent':
        inner = _polar(half[::-1]) * (1, rng.uniform(.3, .5))
        return np.concatenate([_polar(half), inner]) - (0, .6)
    if name in ('triangle', 'pentagon', 'hexagon'):
        return _regular(dict(triangle=3, pentagon=5, hexagon=6)[name])
    if name == 'square':
        return _regular(4)
    if name == 'rectangle':
        h = rng.uniform(.4, .55)
        return np.array([(-1, -h), (1, -h), (1, h), (-1, h)]) * .92
    if name == 'star':
        radius = np.tile([1, rng.uniform(.38, .48)], 5)
        return _polar(np.arange(10) * np.pi / 5 - np.pi / 2, radius)
    if name == 'cross':
        w = rng.uniform(.26, .36)
        return np.array([(-w, -1), (w, -1), (w, -w), (1, -w), (1, w), (w, w),
                         (w, 1), (-w, 1), (-w, w), (-1, w), (-1, -w),
                         (-w, -w)])
    if name == 'arrow':
        w = rng.uniform(.18, .28)
        return np.array([(-1, -w), (.1, -w), (.1, -.65), (1, 0), (.1, .65),
                         (.1, w), (-1, w)])
    if name == 'heart':
        x = 16 * np.sin(t)**3
        y = (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) -
             np.cos(4 * t))
        return np.stack([x, -y - 2.5], 1) / 17
    if name == 'drop':
        return np.stack(
            [.62 * np.sin(t) * np.sin(t / 2)**1.5 * 1.25, -np.cos(t)], 1)
    raise KeyError(f'unknown shape {name!r}; known: {", ".join(SHAPES)}')


def textured_background(size, rng):
    """Colour gradient, blotches, stripes and grain; uint8 (size, size, 3)."""
    coarse = rng.uniform(40, 215, (rng.integers(2, 6), rng.integers(2, 6), 3))
    image = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    if rng.random() < .6:
        yy, xx = np.mgrid[:size, :size]
        angle, period = rng.uniform(0, np.pi), rng.uniform(5, 20)
        wave = np.sin(
            (xx * np.cos(angle) + yy * np.sin(angle)) * 2 * np.pi / period)
        image += wave[..., None] * rng.uniform(5, 22, 3)
    image += rng.normal(0, rng.uniform(2, 9), image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def _contrasting_colour(background, rng, *others):
    while True:
        colour = rng.uniform(0, 255, 3)
        if all(
                np.abs(colour - other).max() > 90
                for other in (background, *others)):
            return colour


def _half(image, centre, rotation):
    """Pixels on the right of a shape's own vertical axis, bool (H, W)."""
    yy, xx = np.mgrid[:image.shape[0], :image.shape[1]]
    across = np.stack([xx, yy], -1) - centre
    return (across @ rotation.T)[..., 0] > 0


def draw_shape(image, name, centre, radius, rng, look='solid'):
    """Draw one shape in place, in a colour that stands out.

    Args:
        image (np.ndarray): uint8 (H, W, 3), changed in place.
        name (str): One of :data:`SHAPES`.
        centre (tuple[float]): x, y in pixels.
        radius (float): Radius of the enclosing disc in pixels.
        rng (np.random.Generator): Rotation, colour, outline and texture.
        look (str): One of :data:`LOOKS`. Defaults to ``'solid'``.

    Returns:
        list[float]: Tight box x, y, w, h in pixels, clipped to the image.
    """
    angle = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(angle), np.sin(angle)],
                         [-np.sin(angle), np.cos(angle)]])
    points = outline(name, rng) @ rotation * radius + centre
    polygons = [points]
    if name == 'ring':
        polygons.append((points - centre) * rng.uniform(.45, .6) + centre)
    fixed = [
        np.round(p * 2**_SUBPIXEL_BITS).astype(np.int32) for p in polygons
    ]
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, fixed, 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    if look == 'outlined':
        depth = cv2.distanceTransform((mask > 127).astype(np.uint8),
                                      cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        mask[depth > max(_LEAST_STROKE, _STROKE * radius)] = 0
    x, y = np.clip(np.round(centre).astype(int), 0, image.shape[0] - 1)
    behind = image[y, x].astype(float)
    colour = _contrasting_colour(behind, rng)
    fill = np.broadcast_to(colour, image.shape).copy()
    if look == 'halved':
        fill[_half(image, centre,
                   rotation)] = _contrasting_colour(behind, rng, colour)
    if rng.random() < .3:
        fill += rng.normal(0, 25, image.shape[:2])[..., None]
    weight = mask[..., None] / 255. * rng.uniform(.85, 1)
    blended = image * (1 - weight) + np.clip(fill, 0, 255) * weight
    image[:] = blended.astype(np.uint8)
    if rng.random() < .35:
        edge = rng.uniform(0, 255, 3).tolist()
        cv2.polylines(image, fixed, True, edge, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
    size = np.array(image.shape[1::-1], float)
    low, high = points.min(0).clip(0, size), points.max(0).clip(0, size)
    return [float(v) for v in np.round([*low, *(high - low)], 2)]


def _overlap(box, others):
    """Largest share of the smaller box that another box covers."""
    worst = 0.
    for other in others:
        w = min(box[0] + box[2], other[0] + other[2]) - max(box[0], other[0])
        h = min(box[1] + box[3], other[1] + other[3]) - max(box[1], other[1])
        if w > 0 and h > 0:
            worst = max(worst,
                        w * h / min(box[2] * box[3], other[2] * other[3]))
    return worst


def draw_scene(rng, size=128, max_objects=5, max_overlap=.2):
    """Draw one image with one to ``max_objects`` shapes.

    Returns:
        tuple: uint8 (size, size, 3) BGR image; list of (class index, box).
    """
    image = textured_background(size, rng)
    objects, disc_boxes = [], []
    for _ in range(rng.integers(1, max_objects + 1)):
        for _attempt in range(20):
            radius = rng.uniform(.11, .23) * size
            centre = rng.uniform(radius, size - radius, 2)
            disc = [*(centre - radius), 2 * radius, 2 * radius]
            if _overlap(disc, disc_boxes) <= max_overlap:
                break
        else:
            continue
        label = int(rng.integers(len(SHAPES)))
        box = draw_shape(image, SHAPES[label], centre, radius, rng)
        disc_boxes.append(disc)
        objects.append((label, box))
    return image, objects


def draw_single(rng, label, size=48, classes=SHAPES):
    """Draw one image that a single shape fills for the most part.

    The background is dim, so that :func:`draw_shape` chooses light colours:
    with shapes darker or lighter at random, no linear feature says anything
    at first, and a ViT hardly leaves that plateau.

    Args:
        rng (np.random.Generator): Draws background, place and look.
        label (int): Index into ``classes``.
        size (int): Side of the image in pixels. Defaults to 48.
        classes (Sequence[str]): :data:`SHAPES` (default) or
            :data:`STYLED_SHAPES`.

    Returns:
        np.ndarray: uint8 (size, size, 3), BGR.
    """
    image = (textured_background(size, rng) * _DIM).astype(np.uint8)
    radius = rng.uniform(.28, .42) * size
    centre = rng.uniform(radius, size - radius, 2)
    *look, name = classes[label].split('-')
    draw_shape(image, name, centre, radius, rng, *look)
    return image
