"""Checks before a run that no tool test covers."""
import pytest
from mmengine.registry import init_default_scope
from mmpretrain.datasets import PackInputs
from mmpretrain.registry import TRANSFORMS
from tiny_classifier import CLASSES, write_config

from gslora_mm.engine import read_config
from gslora_mm.engine.preflight import check_pipelines
from gslora_mm.utils import ForgetError

LOAD = dict(type='LoadImageFromFile')


@pytest.fixture
def own_packer():
    """A transform of the user's own, whose name says nothing."""

    class Bundle(PackInputs):
        pass

    TRANSFORMS.register_module(module=Bundle, name='Bundle', force=True)
    yield dict(type='Bundle')
    TRANSFORMS.module_dict.pop('Bundle')


def check(tmp_path, split, pipeline):
    config = write_config(tmp_path / 'own.py', load_from='none.pth')
    cfg = read_config(str(config))
    cfg[f'{split}_dataloader'].dataset.pipeline = pipeline
    try:
        check_pipelines(cfg, CLASSES)
    finally:
        init_default_scope('mmdet')


@pytest.mark.parametrize('split', ['train', 'val'])
def test_pipelines_that_pack(tmp_path, split, own_packer):
    check(tmp_path, split, [LOAD, dict(type='mmpretrain.PackInputs')])
    check(tmp_path, split, [LOAD, own_packer])


@pytest.mark.parametrize('split', ['train', 'val'])
def test_pipelines_that_do_not(tmp_path, split):
    key = f'{split}_dataloader.dataset'
    with pytest.raises(ForgetError, match=f'{key} come out of their pipe'):
        check(tmp_path, split, [LOAD, dict(type='RandomFlip', prob=.5)])
