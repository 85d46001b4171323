# The continual setting with exact group sparsity and the bound that suits a
# linear head. Threshold and start are guesses from the small runs; they have
# not been run on ImageNet.
_base_ = './vit-b_in100_forget.py'
forget = dict(
    method=dict(mode='proximal', alpha=15., sparsity_start=20, bound=None))
optim_wrapper = dict(optimizer=dict(weight_decay=0.))
