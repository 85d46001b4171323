# The long sequence with prototypes of the original model; their weights are
# those of vit_shapes_forget_pp.py.
_base_ = './vit_shapes_long.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.1,
        prototype_bound=3.,
        prototype_retain=1.,
        prototype_slack=2.))
