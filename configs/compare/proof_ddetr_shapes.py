# What the deep counterfactual teacher does to the detector of the demo, all
# four requests one after another, with a retain stream and without any image
# of it.
#
#   python tools/compare.py configs/compare/proof_ddetr_shapes.py
base = '../gslora/ddetr_shapes_counterfactual_deep.py'
_first = {'forget.requests': [['star', 'ring', 'heart']]}
_alone = {'forget.method.retain': 0.}
comparison = dict(
    name='Counterfactual teacher, deep (Deformable DETR, shapes)',
    methods=['methods/as_configured.py'],
    settings={
        'demo': {},
        'demo_no-retain': _alone,
        # What comes back is asked after one request.
        'first_no-retain': {
            **_first,
            **_alone
        }
    },
    seeds=[0, 1, 2])
del _first, _alone
