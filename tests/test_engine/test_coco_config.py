"""The published COCO config, full size, on fifty genuine COCO images."""
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gslora_mm.utils import read_json

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / 'shared' / 'data' / 'tiny_coco'
CONFIG = 'configs/gslora/ddetr_coco_forget.py'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not DATA.is_dir(), reason='../shared/data/tiny_coco is not here')
]


def plain_checkpoint(path):
    """Random weights, written by plain mmdet."""
    code = f'''
import torch
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.hub import get_config
register_all_modules()
cfg = get_config(
    'mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py')
cfg.model.backbone.init_cfg = None
torch.manual_seed(0)
model = MODELS.build(cfg.model)
model.init_weights()
torch.save(dict(meta={{}}, state_dict=model.state_dict()), {str(path)!r})
'''
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)


def options(checkpoint):
    splits = [
        f'{split}_dataloader.dataset.{key}={value}'
        for split, year in (('train', 'train2017'), ('val', 'val2017'))
        for key, value in (('data_root', f'{DATA}/'),
                           ('ann_file', f'annotations/instances_{year}.json'),
                           ('data_prefix.img', f'{year}/'))
    ]
    return [
        *splits,
        f'load_from={checkpoint}',
        'forget.requests=[[person],[car,chair]]',
        'forget.method.beta=0.1',
        'forget.data.ratio=1.0',
        'forget.data.forget_per_batch=1',
        'forget.data.epoch_batches=2',
        'train_cfg.max_epochs=1',
        'train_dataloader.batch_size=2',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        # A quarter of the pixels: a quarter of the wait on two cores.
        'val_dataloader.dataset.pipeline.1.scale=(667,400)',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False'
    ]


def test_two_requests_by_options_alone(tmp_path):
    checkpoint, work_dir = tmp_path / 'plain.pth', tmp_path / 'run'
    plain_checkpoint(checkpoint)
    subprocess.run([
        sys.executable, '-W', 'ignore', 'tools/train.py', CONFIG, '--work-dir',
        str(work_dir), '--cfg-options', *options(checkpoint)
    ],
                   check=True,
                   cwd=ROOT)
    base = torch.load(checkpoint, weights_only=True)['state_dict']
    for request in ('request_01', 'request_02'):
        folder = work_dir / request
        assert read_json(folder / 'training.json')['iterations'] == 2
        merged = torch.load(
            folder / 'merged.pth', weights_only=True)['state_dict']
        assert merged.keys() == base.keys()
        moved = {k for k in base if not torch.equal(base[k], merged[k])}
        assert moved and all('.ffn.layers.' in k for k in moved)
        assert len(read_json(folder / 'groups.json')['groups']) == 12
        metrics = read_json(folder / 'metrics.json')
        assert 0 <= metrics['coco']['AP_r'] <= 1
