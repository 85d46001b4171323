# Photographs in folders, forgetting by counterfactual features: inside, what
# is forgotten comes to look like what it resembles.
#
#   DATA_ROOT=FOLDER python tools/train.py \
#       configs/gslora/vit_cifar10_counterfactual.py
_base_ = './vit_cifar10_forget.py'
forget = dict(
    lora=dict(rank=32, alpha=32),
    model=dict(_delete_=True),
    method=dict(_delete_=True, type='CounterfactualFeatures'),
    # All images of either stream.
    data=dict(ratio=1.))
train_cfg = dict(max_epochs=80)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=.05, by_epoch=False, begin=0, end=20),
    dict(
        type='CosineAnnealingLR',
        begin=1,
        T_max=79,
        by_epoch=True,
        convert_to_iter_based=True)
]
