# Wrong labels, and distillation of what stays.
title = 'LwF'
method = dict(type='LwF')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-4, 3e-4, 1e-3, 3e-3]),
    distill=dict(option='forget.method.distill', values=[.1, .5, 2.]),
)
