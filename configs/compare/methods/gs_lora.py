# The method and the recipe of the base config.
title = 'GS-LoRA'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-3, 2e-3, 4e-3, 8e-3]),
    beta=dict(option='forget.method.beta', values=[.1, .2, .5]),
)
