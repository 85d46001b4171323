# The published Face Transformer on CASIA-Face100, 100 people in folders:
# data/casia100/{train,test}/<person>/*, images of 112 x 112 pixels. Schedule
# of the authors' script; its batch of 480 images may be spread over GPUs. Not
# run here, for want of the data.
#
#   python tools/pretrain.py configs/pretrain/facevit_casia100.py
#
# The published checkpoint spares this: tools/convert_checkpoint.py IN OUT
# --config configs/gslora/facevit_casia100_forget.py
_base_ = [
    '../_base_/facevit_p8s8.py', '../_base_/folder_classification.py',
    'mmpretrain::_base_/default_runtime.py'
]
custom_imports = dict(imports=['gslora_mm'], allow_failed_imports=False)
randomness = dict(seed=0)
# The pixels as they are: no augmentation, no normalisation.
data_root = 'data/casia100/'
train_dataloader = dict(
    batch_size=480, num_workers=8, dataset=dict(data_root=data_root))
val_dataloader = dict(
    batch_size=480, num_workers=4, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1, 5))
test_evaluator = val_evaluator

max_epochs, warmup_epochs = 1200, 10
train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=50)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-4, weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0., bias_decay_mult=0., flat_decay_mult=0.))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-6 / 3e-4,
        by_epoch=True,
        begin=0,
        end=warmup_epochs),
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs - warmup_epochs,
        eta_min=1e-5,
        by_epoch=True,
        begin=warmup_epochs,
        end=max_epochs)
]
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=50, max_keep_ckpts=2))
