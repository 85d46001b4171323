# ImageNet with its full label space, with prototypes. Weights are guesses;
# nothing has been run on ImageNet.
_base_ = './vit-b_in1k_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus', prototype_forget=.01, prototype_retain=.01))
