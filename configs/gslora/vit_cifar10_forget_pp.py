# Your own classes, with prototypes. Weights are not tuned.
_base_ = './vit_cifar10_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus', prototype_forget=.01, prototype_retain=.01))
