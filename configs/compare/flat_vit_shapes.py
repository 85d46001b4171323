# How flat the result of the counterfactual features is around their defaults:
# each weight halved and doubled, on the first request of the demo. One
# seed: how far seeds lie apart is in ./vit_shapes.py.
#
#   python tools/compare.py configs/compare/flat_vit_shapes.py
base = '../gslora/vit_shapes_counterfactual.py'
_defaults = dict(means=20., spread=4., keep=1., scores=3., retain=10.)
comparison = dict(
    name='Counterfactual features, weights halved and doubled (ViT, shapes)',
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
