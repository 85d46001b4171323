# What depth costs: the counterfactual teacher with a whole model that trains,
# of whose weights less and less is left.
#
#   python tools/compare.py configs/compare/deep_ddetr_shapes.py
base = '../gslora/ddetr_shapes_counterfactual_deep.py'
comparison = dict(
    name='Counterfactual teacher, weights drawn anew (Deformable DETR, '
    'shapes)',
    methods=['methods/as_configured.py'],
    settings={
        # Share of the weights that is left.
        '1': {
            'forget.method.anew': 0.
        },
        '0.9': {},
        '0.54': {
            'forget.method.anew':
            .05,
            'forget.method.anew_epochs':
            12,
            'train_cfg.max_epochs':
            60,
            'param_scheduler': [
                dict(
                    type='LinearLR',
                    start_factor=.05,
                    by_epoch=False,
                    begin=0,
                    end=30),
                dict(
                    type='CosineAnnealingLR',
                    T_max=40,
                    begin=20,
                    end=60,
                    by_epoch=True,
                    convert_to_iter_based=True)
            ]
        }
    },
    options={'forget.requests': [['star', 'ring', 'heart']]},
    seeds=[0, 1, 2])
