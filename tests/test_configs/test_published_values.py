"""What the authors' scripts say, and what their data pipelines do."""
import math

import cv2
import numpy as np
import pytest
import torch
from classifier_configs import HUNDRED, load, write_folders
from mmcv.transforms import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, PARAM_SCHEDULERS
from PIL import Image
from torchvision.transforms import functional as tvf

# beta, alpha, sparsity_start, bound, ratio of the data.
SINGLE = (.15, .01, 20, 110., .1)
PUBLISHED = {
    'facevit_casia100_forget': ([.2, .25, .25, .2], 1e-4, 0, 105., .1),
    'facevit_casia100_forget_5': SINGLE,
    'facevit_casia100_forget_10': SINGLE,
    'facevit_casia100_forget_50': SINGLE,
    'facevit_casia100_forget_90': SINGLE,
    'vit-b_in100_forget': ([.2, .25, .25, .25], 1e-4, 0, 105., .05)
}


@pytest.mark.parametrize('name', PUBLISHED)
def test_hyper_parameters(name):
    cfg = load(f'gslora/{name}')
    forget, method = cfg.forget, cfg.forget.method
    assert (method.beta, method.alpha, method.sparsity_start, method.bound,
            forget.data.ratio) == PUBLISHED[name]
    assert (method.type, method.mode, forget.group) == ('GSLoRA',
                                                        'subgradient', 'block')
    assert forget.lora.rank == 8
    assert forget.lora.alpha / forget.lora.rank == 1 / 8
    assert forget.data.forget_per_batch == 48
    assert cfg.train_dataloader.batch_size - 48 == 48
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.weight_decay) == ('AdamW', .05)
    assert cfg.train_cfg.max_epochs == 100
    assert 'clip_grad' not in cfg.optim_wrapper
    assert 'paramwise_cfg' not in cfg.optim_wrapper


@pytest.mark.parametrize('name',
                         ['vit-b_in100_forget', 'facevit_casia100_forget_5'])
def test_learning_rate_of_every_epoch(name):
    rates = learning_rates(load(f'gslora/{name}'))
    for epoch, rate in enumerate(rates):
        cosine = math.cos(math.pi * epoch / 100)
        expected = 1e-5 + .5 * (1e-2 - 1e-5) * (1 + cosine)
        assert rate == pytest.approx(expected, rel=1e-6)


def test_learning_rate_of_the_pretraining_of_faces():
    rates = learning_rates(load('pretrain/facevit_casia100'))
    assert len(rates) == 1200
    assert rates[0] == pytest.approx(1e-6)
    assert max(rates) == rates[10] == pytest.approx(3e-4)
    assert rates[-1] == pytest.approx(1e-5, rel=1e-3)


def learning_rates(cfg):
    """Learning rate of every epoch, list[float], by mmengine alone."""
    wrapper = dict(type='OptimWrapper', optimizer=cfg.optim_wrapper.optimizer)
    optimizer = build_optim_wrapper(torch.nn.Linear(2, 2), wrapper).optimizer
    schedulers = [
        PARAM_SCHEDULERS.build(
            dict(s), default_args=dict(optimizer=optimizer))
        for s in cfg.param_scheduler
    ]
    rates = []
    for _ in range(cfg.train_cfg.max_epochs):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return rates


def test_vit_b_has_the_published_number_of_parameters():
    model = MODELS.build(load('gslora/vit-b_in100_forget').model)
    assert sum(p.numel() for p in model.parameters()) == 85_875_556
    assert not [
        m
        for m in model.modules() if isinstance(m, torch.nn.Dropout) and m.p > 0
    ]


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_folders(
        tmp_path_factory.mktemp('images'), HUNDRED, size=(301, 420))


@pytest.mark.parametrize('split', ['train', 'val'])
def test_imagenet_images_are_those_of_torchvision(images, split):
    cfg = load('gslora/vit-b_in100_forget', images)
    sample = DATASETS.build(cfg[f'{split}_dataloader'].dataset)[17]
    actual = preprocessed(cfg, sample)
    image = Image.open(images / split / HUNDRED[17] / '0.png')
    # ViT_B_16_Weights.IMAGENET1K_V1.transforms()
    image = tvf.center_crop(tvf.resize(image, 256), 224)
    expected = tvf.normalize(
        tvf.to_tensor(image), (.485, .456, .406), (.229, .224, .225))
    assert actual.shape == (3, 224, 224)
    assert (actual - expected).abs().max() < 1e-5


@pytest.mark.parametrize('split', ['train', 'val'])
def test_face_images_are_the_pixels_as_they_are(images, split):
    cfg = load('gslora/facevit_casia100_forget', images)
    sample = DATASETS.build(cfg[f'{split}_dataloader'].dataset)[17]
    folder = dict(train='train', val='test')[split]
    expected = tvf.to_tensor(
        Image.open(images / folder / HUNDRED[17] / '0.png'))
    assert (preprocessed(cfg, sample) - expected).abs().max() < 1e-6


def preprocessed(cfg, sample):
    """What the network sees of one sample, (3, H, W)."""
    preprocess = MODELS.build(cfg.model.data_preprocessor)
    return preprocess(dict(inputs=[sample['inputs']]), False)['inputs'][0]


@pytest.mark.parametrize('gain, gamma', [(1., 1.), (.25, 1.), (1., 1.8)])
def test_faces_do_not_depend_on_the_exposure(tmp_path, gain, gamma):
    ramp = np.add.outer(np.arange(112), np.arange(112)) % 200 + 20
    image = 255 * (gain * ramp / 255)**gamma
    path = tmp_path / 'face.png'
    seen = []
    for content in (ramp, image):
        cv2.imwrite(str(path), content.round().astype(np.uint8))
        cfg = load('pretrain/vit_faces')
        pipeline = cfg.val_dataloader.dataset.pipeline
        seen.append(Compose(pipeline)(dict(img_path=str(path)))['inputs'])
    assert (seen[0].float() - seen[1].float()).abs().mean() < 6
