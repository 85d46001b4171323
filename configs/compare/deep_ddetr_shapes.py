# What depth costs: the counterfactual teacher with a model of whose weights
# less and less is left.
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
        '0.925': {},
        '0.85': {
            'forget.method.anew': .15
        }
    },
    options={'forget.requests': [['star', 'ring', 'heart']]},
    seeds=[0, 1, 2])
