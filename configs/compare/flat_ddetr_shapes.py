# How flat the result of the deep counterfactual teacher is around its
# defaults: each weight halved and doubled, on the first request of the demo.
# One seed: how far seeds lie apart is in ./ddetr_shapes.py.
#
#   python tools/compare.py configs/compare/flat_ddetr_shapes.py
base = '../gslora/ddetr_shapes_counterfactual_deep.py'
_defaults = dict(
    memory=.5,
    embeddings=1.,
    scores=4.,
    boxes=60.,
    inside=9.,
    queries=4.,
    most=1.,
    mahalanobis=.1,
    retain=2.)
comparison = dict(
    name='Counterfactual teacher, deep, weights halved and doubled '
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
    options={'forget.requests': [['star', 'ring', 'heart']]},
    seeds=[0])
del _defaults
