"""Images to learn classes again from, and images without them."""
import json

import cv2
import numpy as np
import pytest

from gslora_mm.datasets import RelearnDataset, WithoutClasses
from gslora_mm.utils import ForgetError

NAMES = ('ash', 'birch', 'cedar', 'date')
# Labels in each image.
IMAGES = [{0}, {0, 1}, {1}, {1, 2}, {2}, {3}, {3, 2}, {0, 3}, {1}, {2}]


@pytest.fixture
def coco(tmp_path):
    """Config of a detection data set."""
    boxes = [(i, label) for i, labels in enumerate(IMAGES)
             for label in sorted(labels)]
    content = dict(
        images=[
            dict(id=i, file_name=f'{i}.png', width=20, height=20)
            for i in range(len(IMAGES))
        ],
        annotations=[
            dict(
                id=n + 1,
                image_id=i,
                category_id=label,
                bbox=[2, 2, 5, 5],
                area=25,
                iscrowd=0) for n, (i, label) in enumerate(boxes)
        ],
        categories=[dict(id=i, name=n) for i, n in enumerate(NAMES)])
    (tmp_path / 'all.json').write_text(json.dumps(content))
    for i in range(len(IMAGES)):
        cv2.imwrite(
            str(tmp_path / f'{i}.png'), np.zeros((20, 20, 3), np.uint8))
    return dict(
        type='CocoDataset', data_root=str(tmp_path), ann_file='all.json',
        metainfo=dict(classes=NAMES), data_prefix=dict(img=''),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs')
        ])  # yapf: disable


def shown(data):
    """Image and labels of every sample."""
    infos = [data.get_data_info(i) for i in range(len(data))]
    return [(i['img_id'], {x['bbox_label'] for x in i['instances']})
            for i in infos]  # yapf: disable


def test_every_label_is_visible(coco):
    data = RelearnDataset(coco, ['ash'], ['birch', 'cedar', 'date'])
    assert shown(data) == list(enumerate(IMAGES))
    assert (data.num_forget, data.num_retain) == (0, 10)
    sample = data[1]['data_samples']
    assert sample.stream == 'retain'
    assert sorted(sample.gt_instances.labels.tolist()) == [0, 1]


def test_hidden_classes_stay_hidden(coco):
    data = RelearnDataset(coco, ['ash'], ['birch', 'cedar'], hidden=['date'])
    assert [i for i, _ in shown(data)] == [0, 1, 2, 3, 4, 8, 9]


@pytest.mark.parametrize('seed', range(4))
def test_few_shots_of_what_was_forgotten(coco, seed):
    data = RelearnDataset(
        coco, ['ash', 'birch'], ['cedar', 'date'], shots=1, seed=seed)
    found = dict(shown(data))
    assert all(labels == IMAGES[i] for i, labels in found.items())
    # All without either, and few with them.
    assert {4, 5, 6, 9} <= set(found)
    few = [found[i] for i in set(found) - {4, 5, 6, 9}]
    for label in (0, 1):
        assert 1 <= sum(label in labels for labels in few) <= 2


def test_few_shots_apart_come_first(coco):
    data = RelearnDataset(
        coco, ['ash', 'birch'], ['cedar', 'date'], shots=1, apart=True)
    found = shown(data)
    few, others = found[:data.num_forget], found[data.num_forget:]
    assert [i for i, _ in others] == [4, 5, 6, 9]
    assert {0, 1} <= set().union(*(labels for _, labels in few)) and few
    assert all(labels & {0, 1} for _, labels in few)
    # Every image is one to learn from.
    assert {data[i]['data_samples'].stream
            for i in range(len(data))} == {'retain'}
    together = RelearnDataset(
        coco, ['ash', 'birch'], ['cedar', 'date'], shots=1)
    assert together.num_forget == 0 and sorted(found) == shown(together)


def test_few_shots_need_images_without_them(coco):
    # Every image of the one class that stays shows another, too.
    path = coco['data_root'] + '/all.json'
    content = json.load(open(path))
    content['annotations'] = [
        a for a in content['annotations'] if a['image_id'] != 5
    ]
    json.dump(content, open(path, 'w'))
    with pytest.raises(ForgetError, match='no image without a forgotten'):
        RelearnDataset(coco, ['ash', 'birch', 'cedar'], ['date'], shots=1)


def test_without_classes(coco):
    data = WithoutClasses(coco, ['ash', 'birch'])
    assert [data.get_data_info(i)['img_id']
            for i in range(len(data))] == [4, 5, 6, 9]
    assert data.metainfo['classes'] == NAMES
    labels = data[2]['data_samples'].gt_instances.labels
    assert sorted(labels.tolist()) == [2, 3]
    long = WithoutClasses(coco, ['ash', 'birch'], as_long=True)
    assert len(long) == len(long.inner) > 2 * len(data)
    assert [long.get_data_info(i)['img_id']
            for i in range(len(long))] == ([4, 5, 6, 9] * 3)[:len(long)]
    assert list(long[2]['data_samples'].gt_instances.labels) == list(labels)
    with pytest.raises(IndexError):
        long[len(long)]
    with pytest.raises(ForgetError, match='no image without'):
        WithoutClasses(coco, list(NAMES))
    with pytest.raises(ForgetError, match='ashes'):
        WithoutClasses(coco, ['ashes'])
