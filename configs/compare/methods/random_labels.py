# Wrong labels, and training on what stays.
title = 'Random labels'
method = dict(type='RandomLabels')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-4, 3e-4, 1e-3, 3e-3]),
    retain=dict(option='forget.method.retain', values=[.3, 1., 3.]),
)
