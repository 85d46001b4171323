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
        alpha=15.,
        sparsity_start=2,
        bound=15.,
        mode='proximal'),
    # 10 % of the training images of either stream, 8 + 8 images a batch.
    data=dict(ratio=0.1, forget_per_batch=8, epoch_batches=15))
train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=10)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.),
    clip_grad=dict(max_norm=0.1, norm_type=2))
default_hooks = dict(logger=dict(interval=15))
