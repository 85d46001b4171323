"""A run of two requests that takes seconds: data, base model, config."""
import atexit
import shutil
import tempfile
import time
from functools import lru_cache
from pathlib import Path

import torch

REPO = Path(__file__).resolve().parents[2]
FORGET_CONFIG = REPO / 'configs/gslora/ddetr_shapes_forget.py'
RECIPE = dict(num_train=40, num_val=24, seed=3, size=64)
REQUESTS = [['circle', 'star'], ['hexagon', 'heart']]
EPOCHS, EPOCH_BATCHES, BATCH_SIZE = 2, 2, 4

_MODEL = """
_attention = dict(embed_dims=32, num_heads=4)
model = dict(
    num_queries=16,
    backbone=dict(base_channels=8, stem_channels=8),
    neck=dict(
        in_channels=[16, 32, 64], out_channels=32,
        norm_cfg=dict(num_groups=4)),
    encoder=dict(
        num_layers=2,
        layer_cfg=dict(
            self_attn_cfg=_attention,
            ffn_cfg=dict(embed_dims=32, feedforward_channels=16))),
    decoder=dict(
        num_layers=2,
        layer_cfg=dict(
            self_attn_cfg=_attention, cross_attn_cfg=_attention,
            ffn_cfg=dict(embed_dims=32, feedforward_channels=256))),
    positional_encoding=dict(num_feats=16),
    bbox_head=dict(embed_dims=32),
    test_cfg=dict(max_per_img=100))
"""

_CONFIG = """
_base_ = {base!r}
load_from = {load_from!r}
{model}
data_root = {data_root!r}
recipe = {recipe!r}
train_dataloader = dict(
    batch_size={batch_size},
    dataset=dict(data_root=data_root, recipe=recipe))
val_dataloader = dict(
    batch_size=5,
    dataset=dict(
        data_root=data_root,
        recipe=recipe,
        pipeline=[
            dict(type='LoadImageFromFile', backend_args=None),
            dict(type='Resize', scale=(64, 64), keep_ratio=True),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='PackDetInputs',
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                           'scale_factor'))
        ]))
test_dataloader = val_dataloader
forget = dict(
    requests={requests!r},
    lora=dict(rank=2, alpha=2),
    # The wide decoder blocks outgrow this in four steps, the narrow encoder
    # blocks do not: groups of both kinds.
    method=dict(alpha=45., sparsity_start=1),
    data=dict(ratio=1.0, forget_per_batch=2, epoch_batches={epoch_batches}))
train_cfg = dict(max_epochs={epochs})
optim_wrapper = dict(optimizer=dict(lr=0.02))
param_scheduler = [
    dict(
        type='CosineAnnealingLR', T_max=1, eta_min=0.01, begin=1, end=2,
        by_epoch=True, convert_to_iter_based=True)
]
default_hooks = dict(logger=dict(interval=1))
"""


@lru_cache(maxsize=None)
def shared_folder():
    """A folder for everything that tests share, removed at exit."""
    folder = Path(tempfile.mkdtemp(prefix='gslora-tests-'))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def write_config(path, **changes):
    """Write the tiny config; returns its path."""
    values = dict(
        base=str(FORGET_CONFIG),
        model=_MODEL,
        load_from=str(base_checkpoint()),
        data_root=f'{shared_folder()}/shapes',
        recipe=RECIPE,
        requests=REQUESTS,
        batch_size=BATCH_SIZE,
        epoch_batches=EPOCH_BATCHES,
        epochs=EPOCHS)
    values.update(changes)
    path = Path(path)
    path.write_text(_CONFIG.format(**values))
    return path


@lru_cache(maxsize=None)
def base_checkpoint():
    """A checkpoint with random weights, written by plain mmdet."""
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope

    from gslora_mm.engine.runner import quiet_console
    init_default_scope('mmdet')
    small = shared_folder() / 'model.py'
    small.write_text(f'_base_ = {str(FORGET_CONFIG)!r}\n{_MODEL}')
    torch.manual_seed(0)
    quiet_console(MMLogger.get_instance('tiny'))
    model = MODELS.build(Config.fromfile(small).model)
    model.init_weights()
    with torch.no_grad():
        for name, param in model.named_parameters():
            if 'cls_branches' in name:
                # Scores that differ, so that the order of boxes is sure.
                param.add_(torch.randn_like(param))
            elif 'reg_branches' in name and name.endswith('weight'):
                param.normal_(0, 0.07)
            elif name == 'bbox_head.reg_branches.0.4.bias':
                # Boxes of the size of the shapes: an AP above zero.
                param[2:] = -0.7
    path = shared_folder() / 'base.pth'
    torch.save(dict(meta={}, state_dict=model.state_dict()), path)
    return path


def run_sequence(config, work_dir, resume=False, **options):
    """Run every request in this process; returns the summary."""
    from gslora_mm.engine import ForgettingSequence, read_config
    cfg = read_config(str(config), options)
    return ForgettingSequence(cfg, work_dir, resume).run()


@lru_cache(maxsize=None)
def finished_run():
    """The work dir of the uninterrupted run, made once. Do not change it."""
    config = write_config(shared_folder() / 'tiny.py')
    work_dir = shared_folder() / 'run'
    begin = time.time()
    run_sequence(config, work_dir)
    (shared_folder() / 'seconds').write_text(str(time.time() - begin))
    return work_dir


def run_seconds():
    """How long :func:`finished_run` took."""
    finished_run()
    return float((shared_folder() / 'seconds').read_text())


def tiny_config():
    """The config file of :func:`finished_run`."""
    finished_run()
    return shared_folder() / 'tiny.py'
