# What comes back of forgotten classes, blood cells; run ./ddetr_bccd.py first.
#
#   DATA_ROOT=FOLDER python tools/recover.py \
#       configs/compare/recover_ddetr_bccd.py
_base_ = '../_base_/recovery.py'
comparison = './ddetr_bccd.py'
recovery = dict(
    name='Recovery (Deformable DETR, blood cells)',
    methods=[
        'gs_lora', 'gs_lora_pp', 'row_reset', 'delete', 'scrub',
        'counterfactual', 'counterfactual_deep'
    ],
    reference=dict(config='../pretrain/ddetr_bccd.py', as_long=True),
    variants={
        f'{shots}-shot': dict(steps=[0, 10, 25, 50])
        for shots in (1, 5, 10)
    },
    steps=[0, 20, 50, 100])
