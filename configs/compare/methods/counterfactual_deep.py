# The counterfactual teacher with a whole model that learns, after a tenth of
# every weight was drawn anew: what nobody teaches it does not come back.
title = 'Counterfactual, deep'
train = 'all'


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
        method=dict(
            type='CounterfactualTeacher',
            teacher_cache=3000.,
            half_cache=True,
            anew=.1),
        options=_recipe(
            40, 30, 30, 12, **{
                'model.backbone.norm_eval':
                False,
                'optim_wrapper.paramwise_cfg':
                dict(
                    custom_keys={
                        'sampling_offsets': dict(lr_mult=0.1),
                        'reference_points': dict(lr_mult=0.1)
                    })
            })),
    classification=dict(
        method=dict(type='CounterfactualFeatures', anew=.1),
        options=_recipe(50, 24, 20, 1)))
del _recipe
