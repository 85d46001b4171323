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
        '_delete_': True,
        'full': _base_.recovery.variants['full'],
        'boxes': _base_.recovery.variants['boxes'],
        '10-shot': {
            **_base_.recovery.variants['10-shot'], 'steps': [0, 25, 50]
        }
    },
    probes=None,
    seeds=[100])
