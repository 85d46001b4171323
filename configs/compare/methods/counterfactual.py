# What the original model would make of an image without what is forgotten:
# of one in which it is painted out (detectors), or taken for something else
# (classifiers). Trains five times as long as the others.
title = 'Counterfactual'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[5e-4, 1e-3, 2e-3, 4e-3]))
_schedule = [
    dict(type='LinearLR', start_factor=.05, by_epoch=False, begin=0, end=20),
    dict(
        type='CosineAnnealingLR',
        T_max=25,
        begin=25,
        end=50,
        by_epoch=True,
        convert_to_iter_based=True)
]
_options = {
    'forget.lora': dict(rank=16, alpha=16, position='both'),
    'forget.data.ratio': 1.,
    'train_cfg.max_epochs': 50,
    'param_scheduler': _schedule
}
per_task = dict(
    detection=dict(
        method=dict(
            type='CounterfactualTeacher',
            memory=.5,
            scores=2.,
            boxes=30.,
            mask=True,
            teacher_cache=3000.,
            half_cache=True),
        options=_options,
        search=dict(
            memory=dict(option='forget.method.memory', values=[.25, .5, 1.]))),
    classification=dict(
        method=dict(type='CounterfactualFeatures'),
        options=_options,
        search=dict(
            means=dict(option='forget.method.means', values=[5., 10., 20.]))))
