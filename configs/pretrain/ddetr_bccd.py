# Pre-train the small detector on your own COCO-format data, starting from the
# shapes detector: `DATA_ROOT=FOLDER python tools/pretrain.py
# configs/pretrain/ddetr_bccd.py --work-dir work_dirs/bccd_base`
_base_ = [
    '../_base_/ddetr_small.py', '../_base_/coco_format_detection.py',
    'mmdet::_base_/default_runtime.py'
]
custom_imports = dict(imports=['gslora_mm'], allow_failed_imports=False)
load_from = 'data/ddetr_shapes.pth'
randomness = dict(seed=0)
model = dict(
    num_queries=60,
    bbox_head=dict(num_classes=3),
    test_cfg=dict(max_per_img=100))
max_epochs = 24
train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=8)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2))
param_scheduler = [
    dict(type='LinearLR', start_factor=.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs,
        eta_min=1e-6,
        begin=0,
        end=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True)
]
default_hooks = dict(
    logger=dict(interval=37),
    checkpoint=dict(interval=1, max_keep_ckpts=2),
    visualization=dict(draw=False))
