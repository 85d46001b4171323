# The detector of the demo, forgetting more deeply: all but the backbone learns
# from the counterfactual teacher, after 7.5 % of every weight were drawn anew.
_base_ = './ddetr_shapes_counterfactual.py'
forget = dict(
    lora=None,
    group=None,
    train=dict(exclude=['backbone.*']),
    method=dict(anew=.075))
train_cfg = dict(max_epochs=80)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3, weight_decay=1e-4),
    paramwise_cfg=dict(
        custom_keys={
            'sampling_offsets': dict(lr_mult=0.1),
            'reference_points': dict(lr_mult=0.1)
        }))
param_scheduler = [
    dict(type='LinearLR', start_factor=.05, by_epoch=False, begin=0, end=30),
    dict(
        type='CosineAnnealingLR',
        T_max=60,
        begin=20,
        end=80,
        by_epoch=True,
        convert_to_iter_based=True)
]
