# What comes back around the defaults; run ./flat_vit_shapes.py first.
_base_ = './recover_vit_shapes.py'
comparison = './flat_vit_shapes.py'
recovery = dict(
    name='What comes back around the defaults',
    methods=['as_configured'],
    settings=None,
    reference=None,
    variants=dict(_delete_=True, full=dict()),
    seeds=[0])
