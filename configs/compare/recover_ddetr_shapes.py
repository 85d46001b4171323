# What comes back of forgotten classes, the detector of the demo; run
# ./ddetr_shapes.py first.
#
#   python tools/recover.py configs/compare/recover_ddetr_shapes.py
_base_ = '../_base_/recovery.py'
comparison = './ddetr_shapes.py'
recovery = dict(
    name='Recovery (Deformable DETR, shapes)',
    reference=dict(config='../pretrain/ddetr_shapes.py'),
    steps=[0, 10, 20, 50, 100])
