# The classifier of the demo, forgetting by counterfactual features: inside,
# an image of a forgotten class comes to look like what it resembles.
_base_ = './vit_shapes_forget.py'
forget = dict(
    lora=dict(rank=32, alpha=32),
    model=dict(_delete_=True),
    method=dict(_delete_=True, type='CounterfactualFeatures'))
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
