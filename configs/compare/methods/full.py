# The loss of GS-LoRA on the whole model, without LoRA.
title = 'Full, GS-LoRA loss'
train = 'all'
options = {'forget.method.alpha': 0.}
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-4, 3e-4, 1e-3, 3e-3]),
    beta=dict(option='forget.method.beta', values=[.1, .2, .5]),
)
