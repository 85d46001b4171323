# Knowledge withdrawn into a deposit.
title = 'LIRF'
method = dict(type='LIRF')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-4, 3e-4, 1e-3, 3e-3]),
    keep=dict(option='forget.method.keep', values=[1., 10., 100.]),
)
