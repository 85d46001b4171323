# What comes back of forgotten classes, blood cells; run ./ddetr_bccd.py first.
#
#   DATA_ROOT=FOLDER python tools/recover.py \
#       configs/compare/recover_ddetr_bccd.py
#
# Of the 292 images 130 show no platelet, and the reference has seen no other.
# A second one has seen all of them, platelets painted out; it is measured if
# ../pretrain/ddetr_bccd_painted.py was trained.
_base_ = '../_base_/recovery.py'
comparison = './ddetr_bccd.py'
recovery = dict(
    name='Recovery (Deformable DETR, blood cells)',
    methods=[
        'gs_lora', 'gs_lora_pp', 'row_reset', 'delete', 'scrub',
        'counterfactual', 'counterfactual_deep'
    ],
    reference=dict(config='../pretrain/ddetr_bccd.py', as_long=True),
    models={'Saw them painted out': 'work_dirs/bccd_painted/base.pth'},
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
