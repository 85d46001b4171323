# The counterfactual teacher with a model that learns without LoRA, after a
# share of every weight was drawn anew: what nobody teaches it does not come
# back. With the recipes of ../../gslora/*_counterfactual_deep.py.
_base_ = './counterfactual.py'
title = 'Counterfactual, deep'
method = dict(anew=.075)
per_task = dict(
    detection=dict(
        train=dict(exclude=['backbone.*']),
        options={
            'forget.lora':
            None,
            'train_cfg.max_epochs':
            80,
            'optim_wrapper.optimizer.lr':
            1e-3,
            'optim_wrapper.optimizer.weight_decay':
            1e-4,
            'optim_wrapper.paramwise_cfg':
            dict(
                custom_keys={
                    'sampling_offsets': dict(lr_mult=0.1),
                    'reference_points': dict(lr_mult=0.1)
                }),
            'param_scheduler': [
                dict(
                    type='LinearLR',
                    start_factor=.05,
                    by_epoch=False,
                    begin=0,
                    end=30),
                dict(
                    type='CosineAnnealingLR',
                    T_max=60,
                    begin=20,
                    end=80,
                    by_epoch=True,
                    convert_to_iter_based=True)
            ]
        }),
    classification=dict(
        method=dict(blocks=6, retain=5.),
        train='all',
        options={'forget.lora': None}))
