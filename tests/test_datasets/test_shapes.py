import json

import cv2
import numpy as np
import pytest

from gslora_mm.datasets import SHAPES, ShapesDataset, ensure_shapes
from gslora_mm.datasets.shapes import draw_scene
from gslora_mm.utils import ForgetError

RECIPE = dict(num_train=12, num_val=5)


def content_of(root):
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in sorted(root.rglob('*')) if p.is_file()
    }


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    return ensure_shapes(tmp_path_factory.mktemp('data') / 'set', **RECIPE)


def test_the_seed_decides_every_byte(shapes, tmp_path):
    again = ensure_shapes(tmp_path / 'again', **RECIPE)
    assert content_of(again) == content_of(shapes)
    other = ensure_shapes(tmp_path / 'other', seed=1, **RECIPE)
    assert content_of(other) != content_of(shapes)


def test_at_least_fifteen_classes():
    assert len(set(SHAPES)) >= 15


def test_annotations(shapes):
    for split, number in (('train', 12), ('val', 5)):
        path = shapes / 'annotations' / f'{split}.json'
        content = json.loads(path.read_text())
        assert [c['name'] for c in content['categories']] == list(SHAPES)
        assert len(content['images']) == number
        for image in content['images']:
            pixels = cv2.imread(str(shapes / split / image['file_name']))
            assert pixels.shape == (image['height'], image['width'], 3)
        assert len({a['id']
                    for a in content['annotations']
                    }) == len(content['annotations'])
        for ann in content['annotations']:
            x, y, w, h = ann['bbox']
            assert x >= 0 and y >= 0 and w >= 1 and h >= 1
            assert x + w <= 128.01 and y + h <= 128.01


def test_scenes_show_all_classes_and_several_at_once():
    rng = np.random.default_rng(0)
    scenes = [draw_scene(rng)[1] for _ in range(80)]
    labels = [label for scene in scenes for label, _ in scene]
    assert set(labels) == set(range(len(SHAPES)))
    assert max(len({label for label, _ in scene}) for scene in scenes) >= 3


def test_a_whole_set_is_left_alone(shapes):
    before = (shapes / 'train').stat().st_mtime_ns
    ensure_shapes(shapes, **RECIPE)
    assert (shapes / 'train').stat().st_mtime_ns == before


def test_data_of_another_kind_is_never_replaced(tmp_path):
    """A data set of the user's own may have the very same layout."""
    image = tmp_path / 'own/train/00000.jpg'
    image.parent.mkdir(parents=True)
    image.write_bytes(b'mine')
    with pytest.raises(ForgetError, match='choose another data_root'):
        ensure_shapes(tmp_path / 'own', **RECIPE)
    assert image.read_bytes() == b'mine'
    assert [p.name for p in tmp_path.iterdir()] == ['own']


def test_a_set_of_another_recipe_is_replaced(tmp_path):
    root = ensure_shapes(tmp_path / 'set', num_train=2, num_val=1)
    ensure_shapes(root, num_train=3, num_val=1)
    assert len(list((root / 'train').iterdir())) == 3


def test_dataset_makes_its_data(tmp_path):
    dataset = ShapesDataset(
        data_root=str(tmp_path / 'set'),
        recipe=dict(num_train=3, num_val=1),
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/'))
    assert len(dataset) == 3
    assert dataset.metainfo['classes'] == SHAPES
