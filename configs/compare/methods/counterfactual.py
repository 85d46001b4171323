# What the original model would make of an image without what is forgotten:
# painted out of it (detectors), or taken for something else (classifiers).
# With its defaults: H, by which the others are tuned, does not ask what comes
# back.
title = 'Counterfactual'
_options = {
    'forget.lora':
    dict(rank=16, alpha=16, position='both'),
    'train_cfg.max_epochs':
    50,
    'param_scheduler': [
        dict(
            type='LinearLR', start_factor=.05, by_epoch=False, begin=0,
            end=20),
        dict(
            type='CosineAnnealingLR',
            T_max=49,
            begin=1,
            end=50,
            by_epoch=True,
            convert_to_iter_based=True)
    ]
}
per_task = dict(
    detection=dict(
        method=dict(
            type='CounterfactualTeacher', teacher_cache=3000.,
            half_cache=True),
        options={
            **_options, 'optim_wrapper.optimizer.lr': 1e-3
        }),
    classification=dict(
        method=dict(type='CounterfactualFeatures'),
        options={
            **_options, 'optim_wrapper.optimizer.lr': 2e-3
        }))
del _options
