# Your own data, with prototypes. Weights are not tuned.
_base_ = './ddetr_bccd_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus', prototype_forget=.01, prototype_retain=.01))
