# The continual setting with exact group sparsity. Threshold and start are
# guesses; they have not been run on CASIA-Face100.
_base_ = './facevit_casia100_forget.py'
forget = dict(method=dict(mode='proximal', alpha=15., sparsity_start=20))
optim_wrapper = dict(optimizer=dict(weight_decay=0.))
