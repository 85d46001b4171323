# The embedded default, behind `make demo`: four requests of three classes
# each, forgotten one after another by a small Deformable DETR.
_base_ = [
    '../_base_/ddetr_small.py', '../_base_/shapes_detection.py',
    'mmdet::_base_/default_runtime.py'
]
custom_imports = dict(imports=['gslora_mm'], allow_failed_imports=False)
load_from = 'data/ddetr_shapes.pth'
randomness = dict(seed=0)

# The frozen network keeps its statistics.
model = dict(backbone=dict(norm_eval=True))
train_dataloader = dict(num_workers=0, persistent_workers=False)

forget = dict(
    requests=[
        ['star', 'ring', 'heart'],
        ['square', 'arrow', 'ellipse'],
        ['hexagon', 'crescent', 'cross'],
        ['triangle', 'drop', 'circle'],
    ],
    lora=dict(rank=8, alpha=8),
    group='block',
    method=dict(
        type='GSLoRA',
        beta=0.2,
        # The last epochs repair what forgetting did to the others.
        late_beta=0.04,
        late_start=6,
        alpha=25.,
        sparsity_start=2,
        bound=15.,
        mode='proximal'),
    # Half of the images of either stream; 6 forget and 10 retain images a
    # batch.
    data=dict(ratio=0.5, forget_per_batch=6, epoch_batches=14))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.),
    clip_grad=dict(max_norm=0.1, norm_type=2))
default_hooks = dict(logger=dict(interval=14))
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
