# A Face Transformer for people in folders, and its data.
_base_ = 'folder_classification.py'

# The family of ../_base_/facevit_p8s8.py with a quarter of its width: 49
# patches and 1.6 M parameters instead of 196 and 19.2 M.
model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[128., 128., 128.],
        std=[70., 70., 70.],
        to_rgb=True),
    backbone=dict(
        type='VisionTransformer',
        arch=dict(
            embed_dims=128,
            num_layers=6,
            num_heads=4,
            feedforward_channels=512),
        img_size=112,
        patch_size=16,
        # Each patch sees its neighbours' halves.
        patch_cfg=dict(kernel_size=32, padding=8),
        final_norm=False,
        with_cls_token=False,
        out_type='avg_featmap',
        init_cfg=dict(type='Xavier', layer='Linear', distribution='uniform')),
    neck=None,
    # Gentler than the published scale and margin, 64 and 0.35: there are fifty
    # images of a person here, not hundreds.
    head=dict(
        type='gslora_mm.CosFaceClsHead',
        num_classes=38,
        in_channels=128,
        s=32.,
        m=0.2,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0)))

data_root = '{{$DATA_ROOT:data/faces/}}'
image_size = 112
# Equalized histograms do away with brightness, contrast and gamma of the
# camera; light from the side is left.
load = dict(
    type='gslora_mm.CachedTransforms',
    transforms=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(image_size, image_size)),
        dict(type='Equalize', prob=1.),
    ])
train_pipeline = [
    load,
    dict(
        type='RandomCrop',
        crop_size=image_size,
        padding=4,
        padding_mode='reflect'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='ColorJitter', brightness=0.2, contrast=0.2),
    dict(type='PackInputs')
]
test_pipeline = [load, dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=32, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
