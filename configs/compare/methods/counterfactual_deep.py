# The counterfactual teacher with a model that learns without LoRA, after a
# share of every weight was drawn anew: what nobody teaches it does not come
# back.
title = 'Counterfactual, deep'


def _recipe(epochs, batches, warm_up, falls, **others):
    return {
        'forget.data.epoch_batches':
        batches,
        'train_cfg.max_epochs':
        epochs,
        'optim_wrapper.optimizer.lr':
        6e-4,
        'optim_wrapper.optimizer.weight_decay':
        1e-4,
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
        ],
        **others
    }


per_task = dict(
    detection=dict(
        train=dict(exclude=['backbone.*']),
        method=dict(
            type='CounterfactualTeacher',
            teacher_cache=3000.,
            half_cache=True,
            anew=.05),
        options=_recipe(
            40, 30, 30, 12, **{
                'optim_wrapper.paramwise_cfg':
                dict(
                    custom_keys={
                        'sampling_offsets': dict(lr_mult=0.1),
                        'reference_points': dict(lr_mult=0.1)
                    })
            })),
    classification=dict(
        train='all',
        method=dict(type='CounterfactualFeatures', anew=.1),
        options=_recipe(50, 24, 20, 1)))
del _recipe
