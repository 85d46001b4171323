# What the deep counterfactual teacher does to the detector of the demo: one
# request, all of them, and both without an image of the retain stream.
#
#   python tools/compare.py configs/compare/proof_ddetr_shapes.py
base = '../gslora/ddetr_shapes_counterfactual_deep.py'
_first = {'forget.requests': [['star', 'ring', 'heart']]}
_alone = {'forget.method.retain': 0.}
comparison = dict(
    name='Counterfactual teacher, deep (Deformable DETR, shapes)',
    methods=['methods/as_configured.py'],
    settings={
        'first': _first,
        'demo': {},
        'first_no-retain': {
            **_first,
            **_alone
        },
        'demo_no-retain': _alone
    },
    seeds=[0, 1, 2])
del _first, _alone
