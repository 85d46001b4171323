# What comes back after the deep counterfactual teacher; run
# ./proof_ddetr_shapes.py first.
#
#   python tools/recover.py configs/compare/recover_proof_ddetr_shapes.py
_base_ = './recover_ddetr_shapes.py'
comparison = './proof_ddetr_shapes.py'
recovery = dict(
    name='Recovery, counterfactual teacher, deep (Deformable DETR, shapes)',
    methods=['as_configured'],
    settings=['first', 'first_no-retain'])
