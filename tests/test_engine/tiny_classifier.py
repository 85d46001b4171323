"""The tiny run of a classifier: folders of images, base model, config."""
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from tiny_run import run_sequence, shared_folder

CLASSES = ('amber', 'beryl', 'coral', 'ebony', 'ivory', 'jade')
# BGR; of two classes no two colours are alike.
_COLOURS = ((30, 140, 230), (170, 200, 60), (80, 90, 240), (60, 40, 40),
            (225, 240, 245), (90, 150, 20))
REQUESTS = [['coral', 'amber'], ['jade']]
# Training has no image of it.
UNSEEN = ('ivory', )
TRAIN, VAL, SIZE = 8, 4, 32
EPOCHS, EPOCH_BATCHES, BATCH_SIZE = 3, 10, 4
HEADS = dict(
    linear='''dict(
        type='LinearClsHead', num_classes=6, in_channels=32,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1))''',
    cosface='''dict(
        type='gslora_mm.CosFaceClsHead', num_classes=6, in_channels=32)''')

# In the manner of mmpretrain's own configs: preprocessor at the top, mixup.
_CONFIG = """
_base_ = 'mmpretrain::_base_/default_runtime.py'
custom_imports = dict(imports=['gslora_mm'], allow_failed_imports=False)
load_from = {load_from!r}
randomness = dict(seed=0)
data_preprocessor = dict(
    num_classes=6, mean=[120.] * 3, std=[70.] * 3, to_rgb=True)
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(
            embed_dims=32, num_layers=3, num_heads=4,
            feedforward_channels=16),
        # The wide block outgrows the penalty, the narrow ones do not: groups
        # of both kinds.
        layer_cfgs=[dict(), dict(), dict(feedforward_channels=256)],
        img_size=32, patch_size=8, drop_rate=0.1,
        init_cfg=[dict(type='Kaiming', layer='Conv2d')]),
    neck=None,
    head={head},
    train_cfg=dict(augments=dict(type='Mixup', alpha=0.2)))
_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
# Serialising runs the garbage collector: slow beside loaded libraries.
train_dataloader = dict(
    batch_size={batch_size},
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CustomDataset', data_root={data_root!r}, data_prefix='train',
        serialize_data=False,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackInputs')
        ]))
val_dataloader = dict(
    batch_size=5,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CustomDataset', data_root={data_root!r}, data_prefix='val',
        serialize_data=False,
        pipeline=_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1, ))
test_evaluator = val_evaluator
forget = dict(
    requests={requests!r},
    unseen={unseen!r},
    lora=dict(rank=2, alpha=2),
    method=dict(type='GSLoRA', beta=2., alpha=12., sparsity_start=2),
    data=dict(ratio=0.5, forget_per_batch=2, epoch_batches={epoch_batches}))
train_cfg = dict(by_epoch=True, max_epochs={epochs}, val_interval=1)
val_cfg = test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.04, weight_decay=0.))
param_scheduler = []
default_hooks = dict(logger=dict(interval=1))
"""


def write_images(root, train=TRAIN, val=VAL, unseen=UNSEEN):
    """Folders of images, one colour per class, noise on top.

    Args:
        root (Path): ``train/<class>`` and ``val/<class>`` are made in it.
        train (int): Training images of each class.
        val (int): Validation images of each class.
        unseen (Sequence[str]): Classes without training images.

    Returns:
        Path: ``root``.
    """
    for split, count in (('train', train), ('val', val)):
        rng = np.random.default_rng(dict(train=0, val=1)[split])
        for name, colour in zip(CLASSES, _COLOURS):
            folder = Path(root) / split / name
            folder.mkdir(parents=True)
            if split == 'train' and name in unseen:
                continue
            for i in range(count):
                noise = rng.normal(0, 12, (SIZE, SIZE, 3))
                image = np.clip(colour + noise, 0, 255).astype(np.uint8)
                cv2.imwrite(str(folder / f'{i}.png'), image)
    return root


@lru_cache(maxsize=None)
def images_root():
    """Folder of the images. Do not change it."""
    return write_images(shared_folder() / 'colours')


def read_images(split='val', root=None):
    """tuple[ndarray, list[str], list[Path]]: BGR images, names, paths."""
    paths = sorted(((root or images_root()) / split).glob('*/*.png'))
    images = np.stack([cv2.imread(str(path)) for path in paths])
    return images, [path.parent.name for path in paths], paths


def write_config(path, head='linear', **changes):
    """Write the tiny config; returns its path."""
    values = dict(
        load_from=None,
        data_root=None,
        requests=REQUESTS,
        unseen=list(UNSEEN),
        batch_size=BATCH_SIZE,
        epoch_batches=EPOCH_BATCHES,
        epochs=EPOCHS)
    values.update(changes, head=HEADS.get(head, head))
    values['load_from'] = values['load_from'] or str(base_checkpoint(head))
    values['data_root'] = values['data_root'] or str(images_root())
    path = Path(path)
    path.write_text(_CONFIG.format(**values))
    return path


def plain_model(config):
    """The plain model of a config, as mmpretrain builds it."""
    from mmengine.config import Config
    from mmpretrain import get_model
    cfg = Config.fromfile(config)
    cfg.load_from = None
    return get_model(cfg, pretrained=False, device='cpu').eval()


def logits_of(model, images):
    """Scores of images as read from files, normalised by hand.

    Args:
        model (ImageClassifier): Plain or wrapped model.
        images (ndarray): uint8 (N, H, W, 3), BGR.

    Returns:
        Tensor: (N, C).
    """
    rgb = torch.tensor(images[..., ::-1].copy()).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        return model((rgb - 120.) / 70., mode='tensor')


@lru_cache(maxsize=None)
def base_checkpoint(head='linear'):
    """A checkpoint of plain mmpretrain: a random backbone, a fitted head."""
    from mmengine.logging import MMLogger

    from gslora_mm.engine.runner import quiet_console
    quiet_console(MMLogger.get_instance('tiny'))
    path = shared_folder() / f'classifier_{head}.pth'
    torch.manual_seed(0)
    model = plain_model(
        write_config(path.with_suffix('.py'), head, load_from='none.pth'))
    model.init_weights()
    images, names, _ = read_images()
    features = []
    hook = model.head.register_forward_pre_hook(
        lambda module, args: features.append(args[0][-1]))
    logits_of(model, images)
    hook.remove()
    _fit_head(model.head, features[0].double(),
              [CLASSES.index(name) for name in names])
    torch.save(dict(meta={}, state_dict=model.state_dict()), path)
    return path


@torch.no_grad()
def _fit_head(head, features, labels):
    """Least squares from features to labels."""
    target = torch.eye(len(CLASSES), dtype=torch.double)[labels]
    mean = features.mean(0)
    if hasattr(head, 'weight'):  # a cosine head has no bias
        solution = torch.linalg.pinv(features, rtol=1e-3) @ (target - 1 / 6)
        head.weight.copy_(solution.T)
        return
    solution = torch.linalg.pinv(features - mean, rtol=1e-3) @ target
    head.fc.weight.copy_(8 * solution.T)
    head.fc.bias.copy_(-8 * mean @ solution)


@lru_cache(maxsize=None)
def finished_run():
    """The work dir of the uninterrupted run, made once. Do not change it."""
    config = write_config(shared_folder() / 'classifier.py')
    work_dir = shared_folder() / 'classifier_run'
    run_sequence(config, work_dir)
    return work_dir


def tiny_config():
    """The config file of :func:`finished_run`."""
    finished_run()
    return shared_folder() / 'classifier.py'
