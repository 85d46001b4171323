# Your own classes: forget three times two of ten from the classifier made by
# ../pretrain/vit_cifar10.py.
#
#   DATA_ROOT=FOLDER python tools/train.py configs/gslora/vit_cifar10_forget.py
_base_ = '../pretrain/vit_cifar10.py'
load_from = 'work_dirs/vit_cifar10_base/base.pth'
image_size = 32
# Without the random colours and shapes of the pre-training.
train_dataloader = dict(
    batch_size=48,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(image_size, image_size)),
        dict(
            type='RandomCrop',
            crop_size=image_size,
            padding=4,
            padding_mode='reflect'),
        dict(type='RandomFlip', prob=0.5, direction='horizontal'),
        dict(type='PackInputs')
    ]))

forget = dict(
    # The published rule: places of the sorted folders, shuffled by Python's
    # generator with seed 1337, from the tail.
    requests=[['ship', 'truck'], ['deer', 'dog'], ['automobile', 'frog']],
    lora=dict(rank=8, alpha=8),
    group='block',
    # The bound is that of linear heads.
    method=dict(
        type='GSLoRA', beta=0.2, alpha=20., sparsity_start=2, mode='proximal'),
    # A fifth of the images of either stream; 16 forget and 32 retain images a
    # batch.
    data=dict(ratio=0.2, forget_per_batch=16, epoch_batches=20))
train_cfg = dict(max_epochs=10)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.),
    clip_grad=dict(max_norm=1.0, norm_type=2))
default_hooks = dict(logger=dict(interval=15))
# Constant for half of the epochs, then down to zero.
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=5,
        eta_min=1e-5,
        begin=5,
        end=10,
        by_epoch=True,
        convert_to_iter_based=True)
]
