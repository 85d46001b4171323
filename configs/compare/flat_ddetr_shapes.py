# How flat the result of the counterfactual teacher is around its defaults:
# each weight halved and doubled, on the first request of the demo and with a
# third of the iterations, which all nineteen have alike. One seed: how far
# seeds lie apart is in ./ddetr_shapes.py.
#
#   python tools/compare.py configs/compare/flat_ddetr_shapes.py
base = '../gslora/ddetr_shapes_counterfactual.py'
_defaults = dict(
    memory=.5,
    embeddings=1.,
    scores=4.,
    boxes=60.,
    inside=9.,
    queries=9.,
    most=1.,
    mahalanobis=.5,
    retain=2.)
comparison = dict(
    name='Counterfactual teacher, weights halved and doubled '
    '(Deformable DETR, shapes)',
    methods=['methods/as_configured.py'],
    settings={
        'defaults': {},
        **{
            f'{name}-{value * factor:g}': {
                f'forget.method.{name}': value * factor
            }
            for name, value in _defaults.items()
            for factor in (.5, 2.)
        }
    },
    options={
        'forget.requests': [['star', 'ring', 'heart']],
        'train_cfg.max_epochs':
        12,
        'param_scheduler': [
            dict(
                type='LinearLR',
                start_factor=.05,
                by_epoch=False,
                begin=0,
                end=30),
            dict(
                type='CosineAnnealingLR',
                T_max=8,
                begin=4,
                end=12,
                by_epoch=True,
                convert_to_iter_based=True)
        ]
    },
    seeds=[0])
del _defaults
