# Your own data: forget Platelets, then WBC, from a blood-cell detector made by
# configs/pretrain/ddetr_bccd.py.
_base_ = [
    '../_base_/ddetr_small.py', '../_base_/coco_format_detection.py',
    'mmdet::_base_/default_runtime.py'
]
custom_imports = dict(imports=['gslora_mm'], allow_failed_imports=False)
load_from = 'work_dirs/bccd_base/base.pth'
randomness = dict(seed=0)
model = dict(
    num_queries=60,
    backbone=dict(norm_eval=True),
    bbox_head=dict(num_classes=3),
    test_cfg=dict(max_per_img=100))
train_dataloader = dict(num_workers=0, persistent_workers=False)
forget = dict(
    requests=[['Platelets'], ['WBC']],
    lora=dict(rank=8, alpha=8),
    method=dict(
        type='GSLoRA', beta=0.2, alpha=20., sparsity_start=2, bound=15.),
    data=dict(ratio=0.5, forget_per_batch=4, epoch_batches=14))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.),
    clip_grad=dict(max_norm=0.1, norm_type=2))
default_hooks = dict(logger=dict(interval=15))
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
