# Ascent on what goes, training on what stays.
title = 'NegGrad+'
method = dict(type='GradientAscent', retain=1.)
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-5, 1e-4, 3e-4, 1e-3]),
    forget=dict(option='forget.method.forget', values=[.01, .05, .2]),
)
