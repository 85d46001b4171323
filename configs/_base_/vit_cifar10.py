# A ViT for small images in folders, and its data.
_base_ = 'folder_classification.py'

# 64 patches, 0.47 M parameters.
model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[125.307, 122.961, 113.8575],
        std=[51.5865, 50.847, 51.255],
        to_rgb=True),
    backbone=dict(
        type='VisionTransformer',
        arch=dict(
            embed_dims=96, num_layers=6, num_heads=4,
            feedforward_channels=192),
        img_size=32,
        patch_size=4,
        # Each patch sees its neighbours' halves.
        patch_cfg=dict(kernel_size=8, padding=2),
        final_norm=False,
        with_cls_token=False,
        out_type='avg_featmap',
        init_cfg=dict(type='Xavier', layer='Linear', distribution='uniform')),
    neck=None,
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=96,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0)))

data_root = '{{$DATA_ROOT:data/cifar10/}}'
image_size = 32
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(image_size, image_size)),
    dict(
        type='RandomCrop',
        crop_size=image_size,
        padding=4,
        padding_mode='reflect'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=5,
        magnitude_std=0.5),
    dict(type='PackInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(image_size, image_size)),
    dict(type='PackInputs')
]
train_dataloader = dict(
    batch_size=64, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
