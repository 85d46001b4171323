# The continual setting with exact group sparsity and the bound that suits a
# linear head. Threshold and start are guesses, the margin is that of the small
# runs (docs/classifiers.md); they have not been run on ImageNet.
_base_ = './vit-b_in100_forget.py'
forget = dict(
    model=dict(per_sample=True, forget_margin=10.),
    method=dict(mode='proximal', alpha=15., sparsity_start=20, bound=None))
optim_wrapper = dict(optimizer=dict(weight_decay=0.))
