# Wrong labels, and a spring on every weight that matters.
title = 'EWC'
method = dict(type='EWC')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-4, 3e-4, 1e-3, 3e-3]),
    penalty=dict(option='forget.method.penalty', values=[1., 10., 100.]),
)
