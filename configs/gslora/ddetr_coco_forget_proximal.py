# The continual setting with exact group sparsity. Threshold and start are
# guesses from the shapes runs; they have not been run on COCO.
_base_ = './ddetr_coco_forget.py'
forget = dict(method=dict(mode='proximal', alpha=15., sparsity_start=8))
optim_wrapper = dict(optimizer=dict(weight_decay=0.))
