"""Transforms that are run once for each image."""
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope

from gslora_mm.datasets import CachedTransforms
from gslora_mm.registry import DATASETS
from gslora_mm.utils import ForgetError

CONFIG = Path(__file__).parents[2] / 'configs/gslora/vit_faces_forget.py'


class Counted:
    """Double an image, count the calls."""

    def __init__(self):
        self.calls = []

    def __call__(self, results):
        self.calls.append(results['img_path'])
        if results['img_path'] == 'bad':
            return None
        return {**results, 'img': results['img_path_value'] * 2, 'seen': True}


def image(path, value=3., **more):
    return dict(img_path=path, img_path_value=np.full((4, 4), value), **more)


def test_an_image_is_made_once_and_its_arrays_are_its_own():
    step = Counted()
    cached = CachedTransforms([step])
    for label in (1, 2, 3):
        out = cached(image('a', gt_label=label))
        assert out['gt_label'] == label and out['seen']
        np.testing.assert_array_equal(out['img'], np.full((4, 4), 6.))
        out['img'][:] = 0
    assert cached(image('b', 1.))['img'].max() == 2
    assert step.calls == ['a', 'b']


def test_refused_images_and_those_beyond_the_limit_are_not_kept():
    step = Counted()
    # One array of 128 bytes fits, two do not.
    cached = CachedTransforms([step], limit=200 / 2**20)
    for path in ('bad', 'a', 'b', 'bad', 'a', 'b'):
        out = cached(image(path))
        assert (out is None) == (path == 'bad')
    assert step.calls == ['bad', 'a', 'b', 'bad', 'b']


@pytest.mark.parametrize('limit', [0, -1, True, 'much'])
def test_a_limit_is_a_size(limit):
    with pytest.raises(ForgetError, match='limit of CachedTransforms'):
        CachedTransforms([], limit=limit)


def test_faces_are_those_of_the_steps_one_by_one(tmp_path, monkeypatch):
    (tmp_path / 'train/ann').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(3):
        cv2.imwrite(
            str(tmp_path / f'train/ann/{i}.png'),
            rng.integers(0, 99, (90, 80, 3), dtype=np.uint8))
    monkeypatch.setenv('DATA_ROOT', f'{tmp_path}/')
    cfg = Config.fromfile(CONFIG)
    init_default_scope(cfg.default_scope)
    data = cfg.train_dataloader.dataset
    cached = DATASETS.build(data)
    first, *rest = data.pipeline
    assert first.type == 'gslora_mm.CachedTransforms'
    load = Compose(first.transforms)
    change = Compose(rest)
    for _ in range(2):
        for i in range(3):
            plain = load(cached.get_data_info(i))
            np.random.seed(i)
            plain = change(plain)
            np.random.seed(i)
            sample = cached[i]
            assert torch.equal(sample['inputs'], plain['inputs'])
            assert sample['data_samples'].metainfo == plain[
                'data_samples'].metainfo
            assert sample['data_samples'].gt_label == plain[
                'data_samples'].gt_label


def test_what_is_drawn_behind_does_not_depend_on_what_is_kept():
    cached = CachedTransforms(
        [lambda results: {
            **results, 'drawn': np.random.rand()
        }])
    rows = []
    for path in ('a', 'a', 'b', 'a'):
        np.random.seed(0)
        rows.append((cached(image(path))['drawn'], np.random.rand()))
    assert len({behind for _, behind in rows}) == 1
    assert rows[0][0] == rows[1][0] == rows[3][0] != rows[2][0]
