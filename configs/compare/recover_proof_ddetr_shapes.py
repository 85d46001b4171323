# What comes back after the deep counterfactual teacher without an image of the
# retain stream; run ./proof_ddetr_shapes.py first. With one:
# ./recover_ddetr_shapes.py.
#
#   python tools/recover.py configs/compare/recover_proof_ddetr_shapes.py
_base_ = './recover_ddetr_shapes.py'
comparison = './proof_ddetr_shapes.py'
recovery = dict(
    name='Recovery, counterfactual teacher, deep, no retain data '
    '(Deformable DETR, shapes)',
    methods=['as_configured'],
    settings=['first_no-retain'])
