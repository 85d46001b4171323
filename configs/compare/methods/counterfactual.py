# What the original model would make of an image without what is forgotten:
# painted out of it (detectors), or taken for something else (classifiers).
# With its defaults and the recipes of ../../gslora/*_counterfactual.py: H, by
# which the others are tuned, does not ask what comes back.
title = 'Counterfactual'


def _recipe(lora, epochs, batches, lr, warm_up, falls):
    return {
        'forget.lora':
        lora,
        'forget.data.epoch_batches':
        batches,
        'train_cfg.max_epochs':
        epochs,
        'optim_wrapper.optimizer.lr':
        lr,
        'param_scheduler': [
            dict(
                type='LinearLR',
                start_factor=.05,
                by_epoch=False,
                begin=0,
                end=warm_up),
            dict(
                type='CosineAnnealingLR',
                T_max=epochs - falls,
                begin=falls,
                end=epochs,
                by_epoch=True,
                convert_to_iter_based=True)
        ]
    }


_detection = _recipe(
    dict(rank=32, alpha=32, position='both'), 36, 30, 2e-3, 30, 12)
_detection['optim_wrapper.optimizer.fused'] = True
per_task = dict(
    detection=dict(
        method=dict(
            type='CounterfactualTeacher', teacher_cache=3000.,
            half_cache=True),
        options=_detection),
    classification=dict(
        method=dict(type='CounterfactualFeatures'),
        options=_recipe(dict(rank=32, alpha=32), 80, 24, 1e-3, 20, 1)))
del _recipe, _detection
