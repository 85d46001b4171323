# Which blocks the counterfactual teacher needs: the more the group penalty
# weighs, the fewer blocks move. On the first request of the demo, one seed.
#
#   python tools/compare.py configs/compare/sparse_ddetr_shapes.py
base = '../gslora/ddetr_shapes_counterfactual.py'
comparison = dict(
    name='Counterfactual teacher, fewer and fewer blocks (Deformable DETR, '
    'shapes)',
    methods=['methods/as_configured.py'],
    settings={
        f'{alpha:g}': {
            'forget.method.alpha': alpha
        }
        for alpha in (0., 3., 10., 30.)
    },
    options={'forget.requests': [['star', 'ring', 'heart']]},
    seeds=[0])
