# Exact group sparsity, with both halves of the prototype term. Weights are
# guesses; they have not been run on ImageNet.
_base_ = './vit-b_in100_forget_proximal.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus', prototype_forget=.05, prototype_retain=.05))
