import json

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmpretrain.datasets import CustomDataset

from gslora_mm.datasets import (SHAPES, STYLED_SHAPES, ShapesFolder,
                                ensure_shapes, ensure_shapes_folder)
from gslora_mm.datasets.shapes import (LOOKS, draw_shape, draw_single,
                                       textured_background)
from gslora_mm.utils import ForgetError

RECIPE = dict(num_train=3, num_val=2, size=32)


def content_of(root):
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in sorted(root.rglob('*')) if p.is_file()
    }


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return ensure_shapes_folder(
        tmp_path_factory.mktemp('data') / 'set', **RECIPE)


def test_one_folder_per_class(folder):
    for split, number in (('train', 3), ('val', 2)):
        names = sorted(p.name for p in (folder / split).iterdir())
        assert names == sorted(SHAPES)
        for name in names:
            files = sorted((folder / split / name).iterdir())
            assert [p.name
                    for p in files] == [f'{i:05d}.jpg' for i in range(number)]
            assert cv2.imread(str(files[0])).shape == (32, 32, 3)


def test_the_seed_decides_every_byte(folder, tmp_path):
    again = ensure_shapes_folder(tmp_path / 'again', **RECIPE)
    assert content_of(again) == content_of(folder)
    other = ensure_shapes_folder(tmp_path / 'other', seed=1, **RECIPE)
    images = set(content_of(other).values()) & set(content_of(folder).values())
    assert not images


def test_no_two_images_are_alike(folder):
    content = content_of(folder)
    assert len(set(content.values())) == len(content)


@pytest.mark.parametrize('label', range(len(SHAPES)))
def test_a_large_light_object_on_a_dim_texture(label):
    size = 96
    image = draw_single(np.random.default_rng(7), label, size)
    texture = textured_background(size, np.random.default_rng(7))
    background = texture * .4
    inside = (image - background).max(2) > 30
    # What is not the object is the texture of the same seed, dimmed.
    assert np.abs(image - background)[~inside].mean() < 3
    rows, columns = np.nonzero(inside)
    extent = max(np.ptp(rows) + 1, np.ptp(columns) + 1)
    assert .35 * size <= extent <= .84 * size + 3
    assert .05 * size**2 <= len(rows) <= .6 * size**2


def test_the_default_label_order_is_the_class_list(folder):
    cfg = dict(
        type='gslora_mm.ShapesFolder',
        data_root=str(folder) + '/',
        data_prefix='val',
        recipe=RECIPE,
        with_label=True,
        _scope_='mmpretrain',
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='PackInputs')])
    dataset = MMENGINE_DATASETS.build(cfg)
    assert isinstance(dataset, CustomDataset) and len(dataset) == 30
    assert dataset.metainfo['classes'] == SHAPES
    assert dataset.folder_to_idx == {c: i for i, c in enumerate(SHAPES)}
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        assert f'/val/{SHAPES[info["gt_label"]]}/' in info['img_path']
    # The plain class numbers the sorted folders instead.
    plain = CustomDataset(data_root=str(folder), data_prefix='val')
    assert plain.metainfo['classes'] == tuple(sorted(SHAPES))
    sample = dataset[0]
    assert sample['inputs'].shape == (3, 32, 32)
    label = sample['data_samples'].gt_label.item()
    assert SHAPES[label] == sorted(SHAPES)[0]


def test_prepare_makes_the_data_once(tmp_path):
    root = tmp_path / 'set'
    cfg = dict(data_root=str(root), recipe=dict(num_train=1, num_val=1))
    ShapesFolder.prepare(cfg)
    image = root / 'train/star/00000.jpg'
    before = image.stat().st_mtime_ns
    dataset = ShapesFolder(**cfg, data_prefix='train')
    assert len(dataset) == 15
    assert image.stat().st_mtime_ns == before


def test_a_set_of_another_recipe_is_replaced(tmp_path):
    root = ensure_shapes_folder(tmp_path / 'set', num_train=1, num_val=1)
    ensure_shapes_folder(root, num_train=2, num_val=1)
    assert len(list((root / 'train/ring').iterdir())) == 2
    assert [p.name for p in tmp_path.iterdir()] == ['set']


@pytest.mark.parametrize('stamp', [None, '[]', '{"my": "recipe"}'])
def test_data_of_another_kind_is_never_replaced(tmp_path, stamp):
    """A user's own folders may have the very same layout."""
    image = tmp_path / 'own/train/star/00000.jpg'
    image.parent.mkdir(parents=True)
    image.write_bytes(b'mine')
    if stamp:
        (tmp_path / 'own/recipe.json').write_text(stamp)
    with pytest.raises(ForgetError, match='choose another data_root'):
        ensure_shapes_folder(tmp_path / 'own', **RECIPE)
    assert image.read_bytes() == b'mine'
    assert [p.name for p in tmp_path.iterdir()] == ['own']


def test_the_two_generated_sets_do_not_replace_each_other(folder, tmp_path):
    with pytest.raises(ForgetError, match='choose another data_root'):
        ensure_shapes(folder, num_train=1, num_val=1)
    scenes = ensure_shapes(tmp_path / 'scenes', num_train=1, num_val=1)
    with pytest.raises(ForgetError, match='choose another data_root'):
        ensure_shapes_folder(scenes, **RECIPE)
    assert json.loads((folder / 'recipe.json').read_text())['num_val'] == 2


def test_looks_of_a_shape():
    """The same place and outline; inside they differ."""
    assert len(set(STYLED_SHAPES)) == 36
    drawn = {}
    for look in LOOKS:
        image = np.zeros((64, 64, 3), np.uint8)
        draw_shape(image, 'square', (32, 32), 24,
                   np.random.default_rng([3, 1]), look)
        drawn[look] = image.astype(int)
    # Its middle is empty in an outline, and of two colours in halves.
    assert drawn['solid'][32, 32].max() > 90
    assert not drawn['outlined'][30:34, 30:34].any()
    colours = drawn['halved'][drawn['solid'].max(2) > 90]
    assert np.abs(colours - colours[0]).max(1).max() > 60


def test_long_set_is_no_other_set(tmp_path):
    root = ensure_shapes_folder(
        tmp_path / 'set', num_train=1, num_val=1, styled=True)
    assert sorted(p.name
                  for p in (root / 'train').iterdir()) == sorted(STYLED_SHAPES)
    with pytest.raises(ForgetError, match='choose another'):
        ensure_shapes_folder(root, num_train=1, num_val=1)
