# GS-LoRA on ImageNet-100, the published continual setting: torchvision's
# ViT-B/16 with 100 rows of its head, four requests of twenty classes in the
# published order, 5 % of the images of either stream. Hyper-parameters are
# those of the authors' script for this setting. Its bound is beyond what a
# linear head reaches; ./vit-b_in100_forget_proximal.py has one that suits it.
#
# Images: data/imagenet100/{train,val}/<WordNet id>/*. The base checkpoint, in
# which ids.txt has the 1,000 ids of ImageNet (`ls data/imagenet/train`):
#
#   ls data/imagenet100/train > mine.txt
#   sort ids.txt | grep -nxFf mine.txt | cut -d: -f1 |
#       awk '{print $1 - 1}' > rows.txt
#   python tools/convert_checkpoint.py vit_b_16-c867db91.pth \
#       data/vit-b_in100.pth --rows rows.txt \
#       --config configs/gslora/vit-b_in100_forget.py
#   python tools/train.py configs/gslora/vit-b_in100_forget.py
_base_ = [
    'mmpretrain::_base_/models/vit-base-p16.py',
    '../_base_/folder_classification.py',
    'mmpretrain::_base_/default_runtime.py'
]
custom_imports = dict(imports=['gslora_mm'], allow_failed_imports=False)
load_from = 'data/vit-b_in100.pth'
randomness = dict(seed=0)
model = dict(
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True),
    # As in torchvision.
    backbone=dict(drop_rate=0.),
    head=dict(
        num_classes=100,
        loss=dict(_delete_=True, type='CrossEntropyLoss', loss_weight=1.0)))

# The transforms of torchvision's weights, in training as well.
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='ResizeEdge',
        scale=256,
        edge='short',
        backend='pillow',
        interpolation='bilinear'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs')
]
data_root = 'data/imagenet100/'
# 48 forget and 48 retain images a step.
train_dataloader = dict(
    batch_size=96,
    num_workers=8,
    dataset=dict(data_root=data_root, pipeline=pipeline))
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    dataset=dict(data_root=data_root, data_prefix='val', pipeline=pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1, 5))
test_evaluator = val_evaluator

forget = dict(
    requests='class100-4x20',
    # The published scaling is 1 / rank.
    lora=dict(rank=8, alpha=1),
    group='block',
    method=dict(
        type='GSLoRA',
        beta=[.2, .25, .25, .25],
        alpha=1e-4,
        sparsity_start=0,
        bound=105.,
        mode='subgradient'),
    data=dict(ratio=0.05, forget_per_batch=48))
max_epochs = 100
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.05))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs,
        eta_min=1e-5,
        by_epoch=True,
        begin=0,
        end=max_epochs)
]
