# What comes back where weights were drawn anew; run ./deep_ddetr_shapes.py
# first.
#
#   python tools/recover.py configs/compare/recover_deep_ddetr_shapes.py
_base_ = './recover_ddetr_shapes.py'
comparison = './deep_ddetr_shapes.py'
recovery = dict(
    name='What comes back where weights were drawn anew (Deformable DETR, '
    'shapes)',
    methods=['as_configured'],
    settings=None)
