# People in folders, forgetting by counterfactual features: inside, who is
# forgotten comes to look like whom they resemble.
#
#   DATA_ROOT=FOLDER python tools/train.py \
#       configs/gslora/vit_faces_counterfactual.py
_base_ = './vit_faces_forget.py'
forget = dict(
    # The first two blocks are left as they are: without a layer there,
    # nothing is sent back through them.
    lora=dict(
        rank=32,
        alpha=32,
        exclude=['backbone.layers.0.*', 'backbone.layers.1.*']),
    model=dict(_delete_=True),
    method=dict(_delete_=True, type='CounterfactualFeatures'))
train_cfg = dict(max_epochs=50)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=.05, by_epoch=False, begin=0, end=20),
    dict(
        type='CosineAnnealingLR',
        begin=1,
        T_max=49,
        by_epoch=True,
        convert_to_iter_based=True)
]
