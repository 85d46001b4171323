# Single-step forgetting of people, 100-5: the last five of the published
# order at once. Hyper-parameters are the authors' for GS-LoRA in this setting,
# the same for every number of people. (Their current script has a beta of
# 0.05, which goes with a prototype term.)
_base_ = './facevit_casia100_forget.py'
forget = dict(
    requests='class100-5',
    method=dict(beta=.15, alpha=.01, sparsity_start=20, bound=110.))
