# Exact group sparsity, with both halves of the prototype term. Weights are
# guesses; they have not been run on CASIA-Face100.
_base_ = './facevit_casia100_forget_proximal.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus', prototype_forget=.01, prototype_retain=.01))
