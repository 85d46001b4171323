# A small ViT for small images in folders, trained from scratch; here CIFAR-10
# with 1,000 images of each class.
#
#   DATA_ROOT=FOLDER python tools/pretrain.py configs/pretrain/vit_cifar10.py
#
# Other classes: set model.head.num_classes to their number. The last epoch
# counts; nothing is selected on the test images.
_base_ = ['../_base_/vit_cifar10.py', 'mmpretrain::_base_/default_runtime.py']
custom_imports = dict(imports=['gslora_mm'], allow_failed_imports=False)
randomness = dict(seed=0)

max_epochs = 40
train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=1.0, norm_type=2),
    paramwise_cfg=dict(
        norm_decay_mult=0., bias_decay_mult=0., flat_decay_mult=0.))
param_scheduler = [
    dict(type='LinearLR', start_factor=.01, by_epoch=False, begin=0, end=300),
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
    logger=dict(interval=50), checkpoint=dict(interval=4, max_keep_ckpts=2))
