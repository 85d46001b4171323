# Your own people, with prototypes of the original model, the mean
# embeddings of every person. Weights are not tuned yet.
_base_ = './vit_faces_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus', prototype_forget=.01, prototype_retain=.01))
