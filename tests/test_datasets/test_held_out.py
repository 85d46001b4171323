"""Data of which a share is held out: folders, and COCO-format images."""
import json
from collections import Counter

import pytest

from gslora_mm.datasets import HeldOutCoco, HeldOutFolder
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


IMAGES = 30


@pytest.fixture
def annotations(tmp_path):
    """Images whose ids are not in the order of their names; two classes."""
    content = dict(
        images=[
            dict(id=7 * i % 31, file_name=f'{i:02d}.jpg', width=64, height=48)
            for i in range(IMAGES)
        ],
        annotations=[
            dict(
                id=i + 1,
                image_id=7 * i % 31,
                category_id=1 + i % 2,
                bbox=[1, 2, 30, 20],
                area=600,
                iscrowd=0) for i in range(IMAGES)
        ],
        categories=[dict(id=1, name='ash'),
                    dict(id=2, name='birch')])
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(content))
    return path


def images(path, part, **options):
    data = HeldOutCoco(
        ann_file=str(path),
        metainfo=dict(classes=('ash', 'birch')),
        data_prefix=dict(img=''),
        pipeline=[],
        part=part,
        **options)
    found = [data.get_data_info(i) for i in range(len(data))]
    return {i['img_id']: i['instances'][0]['bbox_label'] for i in found}


def test_coco_parts_share_nothing_and_lack_nothing(annotations):
    train, held = (images(annotations, part) for part in ('train', 'held_out'))
    assert len(held) == 6 and not set(train) & set(held)
    assert {**train, **held} == {7 * i % 31: i % 2 for i in range(IMAGES)}


def test_coco_draw_follows_from_names_and_seed(annotations):
    held = set(images(annotations, 'held_out'))
    assert held != set(images(annotations, 'held_out', split_seed=1))
    content = json.loads(annotations.read_text())
    content['images'].reverse()
    annotations.write_text(json.dumps(content))
    assert set(images(annotations, 'held_out')) == held
    # Empty images are left out of training, and not of the draw.
    content['annotations'] = [
        a for a in content['annotations'] if a['category_id'] == 1
    ]
    annotations.write_text(json.dumps(content))
    kept = images(annotations, 'train', filter_cfg=dict(filter_empty_gt=True))
    assert kept and not set(kept) & held


def test_one_coco_image_cannot_be_shared(annotations):
    content = json.loads(annotations.read_text())
    content['images'] = content['images'][:1]
    content['annotations'] = content['annotations'][:1]
    annotations.write_text(json.dumps(content))
    with pytest.raises(ForgetError, match='train.json has 1 images'):
        images(annotations, 'train')
