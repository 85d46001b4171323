# The classifier of the demo, with prototypes of the original model, the
# mean embeddings of the classes. Weights are not tuned yet.
_base_ = './vit_shapes_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus', prototype_forget=.01, prototype_retain=.01))
