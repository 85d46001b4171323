# What comes back of forgotten classes, the detector of the demo; run
# ./ddetr_shapes.py first.
#
#   python tools/recover.py configs/compare/recover_ddetr_shapes.py
_base_ = '../_base_/recovery.py'
comparison = './ddetr_shapes.py'
recovery = dict(
    name='Recovery (Deformable DETR, shapes)',
    methods=_base_.recovery.methods + ['counterfactual_deep_no-retain'],
    # Without the three classes 2,205 of 4,000 images are left.
    reference=dict(config='../pretrain/ddetr_shapes.py', as_long=True),
    # Evaluations are the dear part.
    variants={
        # A head that classifies alone cannot move boxes that went. No other
        # learning rate was tried.
        'boxes': dict(train=dict(include=['bbox_head.*']), lr=3e-3),
        **{
            f'{shots}-shot': dict(steps=[0, 10, 25, 50])
            for shots in (1, 5, 10)
        }
    },
    steps=[0, 20, 50, 100])
