# DER with the labels of what stays.
title = 'DER++'
method = dict(type='DER', retain=1.)
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-4, 3e-4, 1e-3, 3e-3]),
    match=dict(option='forget.method.match', values=[.001, .01, .1]),
)
