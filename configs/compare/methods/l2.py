# Wrong labels, and the same spring on every weight.
title = 'L2'
method = dict(type='L2')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-4, 3e-4, 1e-3, 3e-3]),
    penalty=dict(option='forget.method.penalty', values=[.01, .1, 1.]),
)
