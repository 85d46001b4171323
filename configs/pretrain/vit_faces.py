# A small Face Transformer for people in folders, trained from scratch; here
# 38 people, 112 x 112 grey images of one pose in very different light.
#
#   DATA_ROOT=FOLDER python tools/pretrain.py configs/pretrain/vit_faces.py
#
# Other people: set model.head.num_classes to their number. The last epoch
# counts; nothing is selected on the test images.
_base_ = ['../_base_/vit_faces.py', 'mmpretrain::_base_/default_runtime.py']
custom_imports = dict(imports=['gslora_mm'], allow_failed_imports=False)
randomness = dict(seed=0)

max_epochs = 80
train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=1.0, norm_type=2),
    paramwise_cfg=dict(
        norm_decay_mult=0., bias_decay_mult=0., flat_decay_mult=0.))
param_scheduler = [
    dict(type='LinearLR', start_factor=.01, by_epoch=False, begin=0, end=200),
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
    logger=dict(interval=20), checkpoint=dict(interval=5, max_keep_ckpts=2))
