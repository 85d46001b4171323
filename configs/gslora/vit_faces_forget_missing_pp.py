# Missing people, with prototypes; see ./vit_faces_forget_pp.py.
_base_ = './vit_faces_forget_missing.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus', prototype_forget=.01, prototype_retain=.01))
