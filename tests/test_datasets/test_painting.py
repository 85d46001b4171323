"""Painting touches what it shall, and nothing else."""
import cv2
import numpy as np
import pytest

from gslora_mm.datasets import FILLS, Painter
from gslora_mm.utils import ForgetError

BOXES = [(10.2, 12.7, 20.5, 24.1), (40., 3., 52., 9.)]


def scene(seed=0, shape=(48, 64, 3)):
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def mask_of(boxes, margin, shape, ratio=0.):
    """Pixels with a part in a dilated box, one by one."""
    mask = np.zeros(shape[:2], bool)
    for x1, y1, x2, y2 in boxes:
        dx, dy = margin + ratio * (x2 - x1), margin + ratio * (y2 - y1)
        for y in range(shape[0]):
            for x in range(shape[1]):
                mask[y, x] |= (
                    x1 - dx < x + 1 and x < x2 + dx and y1 - dy < y + 1
                    and y < y2 + dy)
    return mask


@pytest.mark.parametrize('fill', FILLS)
@pytest.mark.parametrize('margin, ratio', [(0., 0.), (2., 0.), (1., .25)])
def test_nothing_outside_the_dilated_boxes(fill, margin, ratio):
    image = scene()
    before = image.copy()
    painted = Painter(fill, margin, ratio)(image, BOXES, seed=3)
    assert np.array_equal(image, before)
    assert painted.dtype == np.uint8 and painted.shape == image.shape
    changed = (painted != image).any(-1)
    mask = mask_of(BOXES, margin, image.shape, ratio)
    assert not changed[~mask].any()
    assert changed[mask].mean() > .9
    again = Painter(fill, margin, ratio)(image, BOXES, seed=3)
    assert np.array_equal(painted, again)


@pytest.mark.parametrize('radius', [None, 5.])
def test_telea_is_that_of_opencv(radius):
    image = scene()
    mask = mask_of(BOXES, 2., image.shape).astype(np.uint8)
    expected = cv2.inpaint(image, mask, radius or 3., cv2.INPAINT_TELEA)
    painter = Painter('telea', radius=radius)
    assert np.array_equal(painter(image, BOXES), expected)
    grey = image[..., :1]
    expected = cv2.inpaint(grey, mask, radius or 3., cv2.INPAINT_TELEA)
    assert np.array_equal(painter(grey, BOXES)[..., 0], expected)
    # A loader may give floats.
    found = Painter('telea', radius=radius)(image.astype(np.float32), BOXES)
    assert found.dtype == np.float32
    assert np.array_equal(found, painter(image, BOXES))


@pytest.mark.parametrize('radius', [None, 2.])
def test_blur_is_that_of_the_whole_image(radius):
    image = scene(shape=(120, 130, 3))
    box = (50, 60, 58, 64)
    sigma = radius or 4.
    expected = cv2.GaussianBlur(image, (0, 0), sigma)
    found = Painter('blur', 0., radius=radius)(image, [box])
    assert np.array_equal(found[60:64, 50:58], expected[60:64, 50:58])


def test_mean_is_that_of_the_ring():
    image = scene()
    ring = mask_of([(10, 10, 20, 20)], 3., image.shape)
    other = mask_of([(22, 12, 30, 18)], 0., image.shape)
    inside = mask_of([(10, 10, 20, 20)], 0., image.shape)
    expected = image[ring & ~inside & ~other].mean(0).round()
    found = Painter('mean', 0.)(image, [(10, 10, 20, 20), (22, 12, 30, 18)])
    assert (found[inside] == expected).all()


def flat(value, box=None, shape=(40, 40, 3)):
    image = np.full(shape, value, np.uint8)
    if box:
        image[box[1]:box[3], box[0]:box[2]] = 255
    return image


def test_a_piece_shows_no_object():
    gone, other = (2, 2, 12, 12), (0, 16, 24, 40)
    image = flat(50, gone)
    image[16:40, 0:24] = 200
    painter = Painter('paste', 2.)
    for seed in range(8):
        painted = painter(image, [gone], seed, [other])
        # No trace is left where the object was.
        assert (painted[2:12, 2:12] == 50).all()
    # Objects that stay are better than those that go.
    found = painter(image, [gone], 0, [(0, 0, 40, 40)])
    assert not (found[2:12, 2:12] == 255).any()


def test_another_image_where_this_one_is_full():
    box, asked = (5, 5, 15, 15), []

    def donors(share):
        asked.append(share)
        return flat(90), [(0, 0, 4, 4)]

    found = Painter('paste', 0.)(flat(50, box), [box], 1, [(0, 0, 40, 40)],
                                 donors)
    assert (found[5:15, 5:15] == 90).all() and 0 <= asked[0] < 1
    # It fades in over the margin alone.
    found = Painter('paste', 3.)(flat(50, box), [box], 1, [(0, 0, 40, 40)],
                                 donors)
    assert (found[5:15, 5:15] == 90).all()
    assert found[9, 2:5, 0].tolist() == [60, 70, 80]


def ramp(shape=(60, 70)):
    """Colours that change from side to side."""
    y, x = np.mgrid[:shape[0], :shape[1]]
    return np.stack([2. * x, 3. * y, 200 - x - y], -1).round().astype(np.uint8)


def test_blend_takes_the_colours_around():
    truth, box = ramp((80, 110)), (20, 15, 50, 40)
    image = truth.copy()
    image[15:40, 20:50] = 255
    gaps, steps = {}, {}
    for fill in ('blend', 'paste'):
        found = np.stack([
            Painter(fill, 1.)(image, [box], seed).astype(int)
            for seed in range(6)
        ])
        gaps[fill] = np.abs(found - truth)[:, 15:40, 20:50].mean()
        steps[fill] = np.abs(np.diff(found, axis=2)).max()
    assert gaps['blend'] < 10 and gaps['paste'] > 2 * gaps['blend']
    # No seam: steps across the border are small, too.
    assert steps['blend'] <= 16 < steps['paste']


@pytest.mark.parametrize('others', [[], [(0, 0, 70, 18)]])
def test_blend_against_loops(others):
    """Every pixel: the piece, and the weighted gaps along the border."""
    image, box = ramp(), (20, 20, 29, 31)
    image[20:31, 20:29] = 255
    found = Painter('blend', 0.)(image, [box], 5, others)
    # What the first draw of the generator gives.
    rng = np.random.default_rng(5)
    while True:
        y, x = (int(rng.integers(n - s + 1)) for n, s in ((60, 11), (70, 9)))
        places = [box, *others]
        if all(x + 9 <= a or x >= c or y + 11 <= b or y >= d
               for a, b, c, d in places):
            break
    piece = image[y:y + 11, x:x + 9].astype(float)
    ring = [(v, u) for v in range(19, 32) for u in range(19, 30)
            if not (20 <= v < 31 and 20 <= u < 29)]  # yapf: disable
    gaps = [
        image[v, u] - piece[min(max(v - 20, 0), 10),
                            min(max(u - 20, 0), 8)] for v, u in ring
    ]
    for v in range(11):
        for u in range(9):
            weights = [
                1 / ((v + 20 - a)**2 + (u + 20 - b)**2) for a, b in ring
            ]
            expected = piece[v, u] + np.average(gaps, 0, weights)
            assert np.abs(found[v + 20, u + 20] - expected).max() <= .5 + 1e-6


def test_blend_unfolds_a_smaller_piece():
    """Where the image has no free place as large, its texture is kept."""
    image, box = flat(90), (2, 2, 26, 26)
    noise = np.random.default_rng(0).integers(-20, 20, (12, 12, 1))
    image[28:, 28:] = 90 + noise
    image[2:26, 2:26] = 255
    painter, asked = Painter('blend', 0.), []
    found = painter(image, [box], 1, [(0, 27, 27, 40), (27, 0, 40, 27)],
                    lambda share: asked.append(share))
    assert not asked and found[2:26, 2:26].std() > 5
    assert found[2:26, 2:26].max() < 130


def test_blend_keeps_the_colours_of_objects_out():
    image, gone, other = flat(50), (10, 10, 20, 20), (20, 5, 30, 25)
    image[5:25, 20:30] = 250
    image[10:20, 10:20] = 255
    found = Painter('blend', 0.)(image, [gone], 1, [other])
    assert (found[10:20, 10:20] == 50).all()


@pytest.mark.parametrize('fill', FILLS)
def test_a_box_as_large_as_the_image(fill):
    image = scene()
    painted = Painter(fill)(image, [(-5, -5, 99, 99)])
    assert (painted == image.mean((0, 1)).round()).all()
    # Boxes outside paint nothing.
    painted = Painter(fill)(image, [(70, 0, 80, 9), (5, 60, 9, 70)])
    assert np.array_equal(painted, image)


@pytest.mark.parametrize('options, message', [
    (dict(fill='nearest'), "fill is 'nearest'; it must be one of telea, blur"),
    (dict(margin=-1), 'painting.margin is -1'),
    (dict(margin=None), 'painting.margin is None'),
    (dict(margin_ratio='a'), "painting.margin_ratio is 'a'"),
    (dict(radius=0), 'painting.radius is 0'),
    (dict(margin=float('inf')), 'painting.margin is inf'),
])
def test_bad_arguments(options, message):
    with pytest.raises(ForgetError, match=message) as caught:
        Painter(**options)
    assert '\n' not in str(caught.value)


def test_images_that_cannot_be_painted():
    with pytest.raises(ForgetError, match='4 channels cannot be painted'):
        Painter()(scene(shape=(20, 20, 4)), [(2, 2, 5, 5)])


@pytest.mark.parametrize('fill', FILLS)
def test_what_stays_is_spared(fill):
    image = scene(shape=(40, 60, 3))
    gone, near, over = (10, 10, 30, 30), (25, 5, 50, 20), (12, 8, 34, 32)
    margin = 2
    whole = Painter(fill, margin, spare=0.)(image, [gone], 3, [near])
    found = Painter(fill, margin)(image, [gone], 3, [near])
    stays = np.zeros(image.shape[:2], bool)
    stays[5:20, 25:50] = True
    painted = np.zeros_like(stays)
    painted[8:32, 8:32] = True
    # The piece is the same: it is only not put where something stays.
    assert np.array_equal(found[~stays], whole[~stays])
    assert np.array_equal(found[stays], image[stays])
    changed = (whole != image).any(-1)
    assert changed[stays & painted].mean() > .9
    assert not changed[~painted].any()
    # What stays has an eighth of the box.
    for spare, same in ((.1, True), (.2, False)):
        other = Painter(fill, margin, spare=spare)(image, [gone], 3, [near])
        assert np.array_equal(other, whole) == same
    # Covered for the most part, it is painted, whatever stays there.
    both = [
        Painter(fill, margin, spare=s)(image, [gone], 3, [over])
        for s in (0., .5, 1.)
    ]
    assert np.array_equal(both[0], both[1])
    assert not np.array_equal(both[1], both[2])


def test_each_object_is_spared_for_itself():
    image, stays = scene(shape=(30, 80, 3)), (18, 0, 60, 30)
    boxes = [(5, 5, 20, 20), (40, 5, 55, 20)]
    found = Painter('mean', 0.)(image, boxes, 0, [stays])
    changed = (found != image).any(-1)
    assert not changed[:, 18:40].any() and changed[5:20, 40:55].any()
    assert changed[5:20, 5:18].mean() > .9


@pytest.mark.parametrize('spare', [-.1, 1.5, True, '0.5', None, float('nan')])
def test_spare_that_is_no_share(spare):
    with pytest.raises(ForgetError, match=r'forget\.painting\.spare'):
        Painter(spare=spare)
