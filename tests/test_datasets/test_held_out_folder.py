"""Folders of images of which a share is held out."""
from collections import Counter

import pytest

from gslora_mm.datasets import HeldOutFolder
from gslora_mm.utils import ForgetError

COUNTS = dict(ash=10, birch=3, cedar=50, date=2)


@pytest.fixture
def root(tmp_path):
    for name, count in COUNTS.items():
        (tmp_path / name).mkdir()
        for i in range(count):
            (tmp_path / name / f'{i}.png').touch()
    return tmp_path


def paths(root, part, **options):
    data = HeldOutFolder(data_root=str(root), part=part, **options)
    return [(i['img_path'], i['gt_label']) for i in data]


def test_parts_share_nothing_and_lack_nothing(root):
    train, held = paths(root, 'train'), paths(root, 'held_out')
    assert not set(train) & set(held)
    assert len(train) + len(held) == sum(COUNTS.values())
    assert Counter(label for _, label in held) == {0: 2, 1: 1, 2: 10, 3: 1}
    names = sorted(COUNTS)
    assert all(f'/{names[label]}/' in path for path, label in train + held)


def test_draw_follows_from_the_seed_alone(root):
    first = paths(root, 'held_out', share=.5)
    assert paths(root, 'held_out', share=.5) == first
    others = [paths(root, 'held_out', share=.5, split_seed=s) for s in (1, 2)]
    assert first != others[0] != others[1]


def test_a_class_is_never_held_out_whole(root):
    assert {label
            for _, label in paths(root, 'train', share=.99)} == {0, 1, 2, 3}


@pytest.mark.parametrize('options, message', [
    (dict(part='val'), "part of HeldOutFolder is 'val'"),
    (dict(part='train', share=1.), 'below 1'),
    (dict(part='train', share=True), 'below 1'),
])
def test_bad_arguments(root, options, message):
    with pytest.raises(ForgetError, match=message):
        HeldOutFolder(data_root=str(root), **options)


def test_one_image_cannot_be_shared(root):
    (root / 'date/1.png').unlink()
    with pytest.raises(ForgetError, match='date/0.png is the only image'):
        HeldOutFolder(data_root=str(root), part='train')
