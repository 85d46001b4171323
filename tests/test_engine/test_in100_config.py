"""The published ImageNet-100 config, full size, on a few generated images."""
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gslora_mm.utils import read_json

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/gslora/vit-b_in100_forget.py'
IDS = [f'n{1440764 + 97 * place:08d}' for place in range(100)]

pytestmark = pytest.mark.slow


def write_images(root):
    """Noise in the layout of ImageNet: 100 folders, other sizes than 224."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 2), ('val', 1)):
        for name in IDS:
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                image = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)
                cv2.imwrite(str(folder / f'{name}_{i}.JPEG'), image)


def plain_checkpoint(path):
    """Random weights, written by plain mmpretrain."""
    code = f'''
import torch
from mmengine.hub import get_config
from mmpretrain.models import build_classifier
from mmpretrain.utils import register_all_modules
register_all_modules()
model = get_config('mmpretrain::_base_/models/vit-base-p16.py').model
model.head.num_classes = 100
torch.manual_seed(0)
model = build_classifier(model)
model.init_weights()
# mmpretrain's heads begin with zeros, which nothing could raise.
torch.nn.init.normal_(model.head.layers.head.weight, std=0.1)
torch.save(dict(meta={{}}, state_dict=model.state_dict()), {str(path)!r})
'''
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)


def options(images, checkpoint):
    roots = [
        f'{split}_dataloader.dataset.data_root={images}/'
        for split in ('train', 'val')
    ]
    return [
        *roots,
        f'load_from={checkpoint}',
        f'forget.requests=[[{IDS[7]}],[{IDS[99]},{IDS[0]}]]',
        'forget.method.beta=0.2',
        'forget.data.ratio=1.0',
        'forget.data.forget_per_batch=1',
        'forget.data.epoch_batches=2',
        'train_cfg.max_epochs=1',
        'train_dataloader.batch_size=2',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        # A quarter of the pixels: a quarter of the wait on two cores.
        'val_dataloader.dataset.pipeline.1.scale=128',
        'val_dataloader.dataset.pipeline.2.crop_size=112',
        'val_dataloader.batch_size=25',
        'val_dataloader.num_workers=0'
    ]


def test_two_requests_by_options_alone(tmp_path):
    images, checkpoint = tmp_path / 'imagenet100', tmp_path / 'plain.pth'
    work_dir = tmp_path / 'run'
    write_images(images)
    plain_checkpoint(checkpoint)
    subprocess.run([
        sys.executable, '-W', 'ignore', 'tools/train.py', CONFIG, '--work-dir',
        str(work_dir), '--cfg-options', *options(images, checkpoint)
    ],
                   check=True,
                   cwd=ROOT)
    base = torch.load(checkpoint, weights_only=True)['state_dict']
    for request, classes in (('request_01', 1), ('request_02', 2)):
        folder = work_dir / request
        assert read_json(folder / 'training.json')['iterations'] == 2
        merged = torch.load(
            folder / 'merged.pth', weights_only=True)['state_dict']
        assert merged.keys() == base.keys()
        moved = {k for k in base if not torch.equal(base[k], merged[k])}
        assert len(moved) == 24
        assert all('.ffn.layers.' in k for k in moved)
        assert len(read_json(folder / 'groups.json')['groups']) == 12
        forget = read_json(folder / 'report.json')['sets']
        names = forget[f'{request[-2:]}_forget']['top1']['per_class']
        assert len(names) == classes
        assert 0 <= read_json(folder / 'metrics.json')['top1']['Acc_r'] <= 1
