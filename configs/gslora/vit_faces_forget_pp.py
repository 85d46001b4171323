# Your own people, with prototypes of the original model, the mean
# embeddings of every person. The weights are those of
# ./vit_shapes_forget_pp.py and not tuned for faces.
_base_ = './vit_faces_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.1,
        prototype_bound=3.,
        prototype_retain=1.,
        prototype_slack=2.))
