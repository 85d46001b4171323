# How many steps bring 90 % of the original's value back, where those of
# ./recover_ddetr_shapes.py are too few to say; with its references.
#
#   python tools/recover.py configs/compare/recover_long_ddetr_shapes.py
_base_ = './recover_ddetr_shapes.py'
recovery = dict(
    name='Recovery, 800 steps (Deformable DETR, shapes)',
    methods=['gs_lora', 'counterfactual_deep'],
    variants={
        '_delete_': True,
        '10-shot': {
            **_base_.recovery.variants['10-shot'], 'steps':
            [0, 50, 100, 200, 400, 800]
        }
    },
    probes=None,
    folder='recover_long')
