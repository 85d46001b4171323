# Your own classes: forget three times two of ten from the classifier made by
# ../pretrain/vit_cifar10.py.
#
#   DATA_ROOT=FOLDER python tools/train.py configs/gslora/vit_cifar10_forget.py
_base_ = [
    '../_base_/vit_cifar10.py', '../_base_/forget_schedule.py',
    'mmpretrain::_base_/default_runtime.py'
]
custom_imports = dict(imports=['gslora_mm'], allow_failed_imports=False)
load_from = 'work_dirs/vit_cifar10_base/base.pth'
randomness = dict(seed=0)
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
    # For linear heads: every image must be forgotten, and confident images
    # have a gradient. The bound, 14 above the margin, is theirs.
    model=dict(per_sample=True, forget_margin=10.),
    # A fifth of the images of either stream; 16 forget and 32 retain images a
    # batch.
    data=dict(ratio=0.2, forget_per_batch=16))
default_hooks = dict(logger=dict(interval=24))
