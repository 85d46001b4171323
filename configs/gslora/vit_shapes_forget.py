# The classifier's share of `make demo`: four requests of three classes each,
# forgotten one after another by a small ViT.
_base_ = [
    '../_base_/vit_small.py', '../_base_/shapes_classification.py',
    'mmpretrain::_base_/default_runtime.py'
]
custom_imports = dict(imports=['gslora_mm'], allow_failed_imports=False)
load_from = 'data/vit_shapes.pth'
randomness = dict(seed=0)
train_dataloader = dict(batch_size=48, num_workers=0, persistent_workers=False)

forget = dict(
    requests=[
        ['star', 'ring', 'heart'],
        ['square', 'arrow', 'ellipse'],
        ['hexagon', 'crescent', 'cross'],
        ['triangle', 'drop', 'circle'],
    ],
    lora=dict(rank=8, alpha=8),
    group='block',
    # The bound is that of linear heads.
    method=dict(
        type='GSLoRA', beta=0.2, alpha=20., sparsity_start=2, mode='proximal'),
    # Half of the images of either stream; 16 forget and 32 retain images a
    # batch.
    data=dict(ratio=0.5, forget_per_batch=16, epoch_batches=14))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10)
optim_wrapper = dict(
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
