# What comes back with other weights, on the images for choosing; run
# ./weights_ddetr_shapes.py first.
#
#   python tools/recover.py configs/compare/recover_weights_ddetr_shapes.py
_base_ = './recover_ddetr_shapes.py'
comparison = './weights_ddetr_shapes.py'
recovery = dict(
    name='What comes back with other weights',
    methods=['as_configured'],
    settings=None,
    reference=None,
    variants={
        '_delete_':
        True,
        'full':
        dict(),
        'boxes':
        dict(train=dict(include=['bbox_head.*']), lr=3e-3),
        '10-shot':
        dict(shots=10, train='all', share=.25, lr=3e-4, steps=[0, 25, 50])
    },
    probes=None,
    seeds=[100])
