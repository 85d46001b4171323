# The detector of the demo, with prototypes of the original model, the
# classes' rows of its last classification layer. Weights are not tuned yet.
_base_ = './ddetr_shapes_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus', prototype_forget=.01, prototype_retain=.01))
