# The classifier of the demo, with prototypes of the original model, the mean
# embeddings of the classes. Retained images are brought back where they are
# more than twice as far from theirs as is usual in their class.
_base_ = './vit_shapes_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.1,
        prototype_bound=3.,
        prototype_retain=1.,
        prototype_slack=2.))
