"""Plain mmpretrain: its checkpoints after forgetting, its configs before."""
import copy
import os
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import MODELS, init_default_scope
from tiny_classifier import (CLASSES, base_checkpoint, finished_run,
                             images_root, logits_of, read_images, tiny_config)

from gslora_mm.engine.request_config import evaluation_config, training_config
from gslora_mm.engine.settings import ForgetSettings
from gslora_mm.engine.tasks import Classification, Detection, task_of
from gslora_mm.lora import load_adapter
from gslora_mm.utils import ForgetError

SCRIPT = Path(__file__).with_name('plain_classify.py')
VIT_B = 'mmpretrain::vision_transformer/vit-base-p16_64xb64_in1k.py'


@pytest.fixture(autouse=True)
def scope():
    """As a config of mmpretrain sets it."""
    init_default_scope('mmpretrain')
    yield
    init_default_scope('mmdet')


def test_merged_checkpoint_in_plain_mmpretrain_has_the_same_logits(tmp_path):
    run, whole = finished_run(), Config.fromfile(tiny_config())
    images, _, paths = read_images()
    plain = _plain_config(whole, tmp_path / 'plain.py')
    alone = _classify_alone(plain, run / 'request_01/merged.pth', tmp_path,
                            paths)
    wrapped = _wrapped(whole, run / 'request_01/adapter.safetensors')
    found = logits_of(wrapped, images)
    assert alone['logits'].shape == found.shape
    # Of sums of numbers around 20, single precision resolves little more;
    # how much, depends on the processor.
    torch.testing.assert_close(alone['logits'], found, rtol=1e-6, atol=1e-4)
    torch.testing.assert_close(
        alone['scores'], found.softmax(1), rtol=0, atol=1e-5)
    # The names are in the checkpoint.
    assert alone['classes'] == [CLASSES[i] for i in found.argmax(1)]
    # The LoRA weights matter: without them other logits come out.
    for name, param in wrapped.named_parameters():
        if name.endswith('lora_B'):
            param.data.zero_()
    assert (logits_of(wrapped, images) - found).abs().max() > 0.1


def _plain_config(whole, path):
    """A config of mmpretrain's own, which names nothing of this package."""
    content = {
        k: whole[k]
        for k in ('default_scope', 'model', 'data_preprocessor',
                  'test_dataloader')
    }
    Config(content).dump(path)
    assert 'gslora_mm' not in path.read_text()
    return path


def _classify_alone(config, checkpoint, folder, images):
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    out = folder / 'found.pt'
    done = subprocess.run(
        [sys.executable, SCRIPT, config, checkpoint, out, *images],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=600)
    assert done.returncode == 0, done.stderr
    return torch.load(out)


def _wrapped(whole, adapter):
    """The forgetting wrapper with base and adapter, not merged."""
    model = MODELS.build(
        dict(
            type='gslora_mm.ForgettingClassifier',
            classifier=task_of(whole).plain_model(whole),
            method=whole.forget.method,
            lora=whole.forget.lora)).eval()
    model.init_weights()
    weights, about = load_adapter(adapter)
    state = torch.load(base_checkpoint(), weights_only=True)['state_dict']
    missing, unexpected = model.load_state_dict({
        **state,
        **weights
    },
                                                strict=False)
    assert not unexpected
    # Zero groups are left out of the file.
    assert missing and all(
        any(key.startswith(group) for group in about['zero_groups'])
        for key in missing)
    return model


def _vit_b(**changes):
    """mmpretrain's own ViT-B config, small enough to be built."""
    cfg = get_config(VIT_B)
    cfg.model.backbone.arch = dict(
        embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=16)
    cfg.model.head.update(in_channels=32, hidden_dim=None, num_classes=1000)
    cfg.forget = dict(
        requests=[['tench, Tinca tinca'], ['crane (517)']],
        method=dict(type='GSLoRA'),
        lora=dict(rank=2))
    for key, value in changes.items():
        # A list cannot be merged into a dict.
        parent, _, last = key.rpartition('.')
        reduce(getattr, parent.split('.'), cfg).update({last: value})
    return cfg


def _wrapped_of(cfg):
    """The model that would be trained, and the config of its training."""
    settings = ForgetSettings.from_config(cfg)
    run = training_config(cfg, settings, settings.requests[0],
                          Path('work/request_01'), 'base.pth', 'print')
    return MODELS.build(run.model), run


def test_preprocessor_of_mmpretrains_own_configs_is_the_classifiers():
    cfg = _vit_b()
    assert 'data_preprocessor' not in cfg.model and cfg.model.train_cfg
    before = copy.deepcopy(cfg.to_dict())
    model, run = _wrapped_of(cfg)
    assert cfg.to_dict() == before
    # mmengine's runner would give it to the wrapper, which has none.
    assert 'data_preprocessor' not in run
    assert 'data_preprocessor' not in run.model
    assert model.data_preprocessor.mean.flatten().tolist() == pytest.approx(
        [123.675, 116.28, 103.53])
    assert model.data_preprocessor.to_rgb
    plain = MODELS.build(task_of(cfg).plain_model(cfg))
    assert plain.data_preprocessor.to_rgb
    assert cfg.to_dict() == before
    settings = ForgetSettings.from_config(cfg)
    run = evaluation_config(cfg, settings, settings.requests, Path('w/r'), '')
    assert 'data_preprocessor' not in run
    assert run.model.data_preprocessor.to_rgb


def test_preprocessor_of_the_model_comes_first():
    cfg = _vit_b()
    cfg.model.data_preprocessor = dict(mean=[1.] * 3, std=[1.] * 3)
    model, _ = _wrapped_of(cfg)
    assert model.data_preprocessor.mean.flatten().tolist() == [1.] * 3
    assert not model.data_preprocessor.to_rgb


@pytest.mark.parametrize('changes', [
    {},
    {
        'model.train_cfg.probs': [1.]
    },
    {
        'model.data_preprocessor':
        dict(batch_augments=dict(augments=dict(type='CutMix', alpha=1.)))
    },
])
def test_images_of_the_streams_are_never_mixed(changes):
    cfg = _vit_b(**changes)
    model, run = _wrapped_of(cfg)
    assert model.data_preprocessor.batch_augments is None
    assert not model.data_preprocessor.to_onehot
    assert 'Mixup' not in str(run) and 'CutMix' not in str(run)


@pytest.mark.parametrize('changes', [
    {
        'model.pretrained': 'nowhere.pth'
    },
    {
        'model.init_cfg': dict(type='Pretrained', checkpoint='nowhere.pth')
    },
    {
        'model.backbone.init_cfg':
        dict(type='Pretrained', checkpoint='nowhere.pth', prefix='backbone.')
    },
    {
        'model.backbone.init_cfg': [
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Pretrained', checkpoint='nowhere.pth')
        ]
    },
])
def test_nothing_pretrained_is_fetched(changes):
    cfg = _vit_b(**changes)
    model = task_of(cfg).plain_model(cfg)
    assert 'nowhere.pth' not in str(model)
    MODELS.build(model).init_weights()


def test_the_head_tells_the_task():
    assert isinstance(task_of(_vit_b()), Classification)
    detector = Config(dict(model=dict(type='DINO', bbox_head=dict())))
    assert isinstance(task_of(detector), Detection)
    with pytest.raises(ForgetError, match='neither a bbox_head nor a head'):
        task_of(Config(dict(model=dict(type='MAE', neck=dict()))))


def _names(**data):
    cfg = Config(
        dict(
            model=dict(head=dict(num_classes=data.pop('count', None))),
            train_dataloader=dict(dataset=dict(type='CustomDataset', **data))))
    return Classification().class_names(cfg)


def test_class_names(tmp_path):
    root = str(images_root())
    assert _names(data_root=root, data_prefix='train', count=6) == CLASSES
    assert _names(data_root=root, data_prefix=dict(img_path='val')) == CLASSES
    assert _names(data_root=f'{root}/train') == CLASSES
    listed = ['b', 'a']
    assert _names(data_root=root, classes=listed) == ('b', 'a')
    assert _names(data_root=root, metainfo=dict(classes=listed)) == ('b', 'a')
    (tmp_path / 'names.txt').write_text('b\na\n')
    assert _names(
        data_root=root, classes=str(tmp_path / 'names.txt')) == ('b', 'a')


def test_imagenets_class_names_are_distinct():
    """Two of them are called crane."""
    cfg = _vit_b()
    names = Classification().class_names(cfg)
    assert len(set(names)) == len(names) == 1000
    assert names[134] == 'crane (134)' and names[517] == 'crane (517)'
    assert names[0] == 'tench, Tinca tinca'
    data = Classification().training_data(cfg, names)
    assert data.metainfo['classes'] == list(names)
    loader = Classification().evaluation_data(cfg, names)
    assert loader['dataset']['metainfo']['classes'] == list(names)


@pytest.mark.parametrize('head, margin', [
    (dict(type='LinearClsHead'), None),
    (dict(type='ArcFaceClsHead', scale=64.), None),
    (dict(type='gslora_mm.CosFaceClsHead'), 64 * .35),
    (dict(type='gslora_mm.CosFaceClsHead', s=30., m=.2), 6.),
])
def test_margin_that_the_metric_subtracts(head, margin):
    cfg = Config(dict(model=dict(head=head)))
    metric = Classification().evaluator(cfg, {})
    assert metric['margin'] == pytest.approx(margin)
