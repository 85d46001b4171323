# The classifier's share of `make demo`: four requests of three classes each,
# forgotten one after another by a small ViT.
_base_ = [
    '../_base_/vit_small.py', '../_base_/shapes_classification.py',
    '../_base_/forget_schedule.py', 'mmpretrain::_base_/default_runtime.py'
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
    # For linear heads: every image must be forgotten, and confident images
    # have a gradient. The bound, 14 above the margin, is theirs.
    model=dict(per_sample=True, forget_margin=10.),
    # 16 forget and 32 retain images a batch.
    data=dict(forget_per_batch=16))
default_hooks = dict(logger=dict(interval=24))
