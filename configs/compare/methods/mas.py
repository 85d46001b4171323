# Wrong labels, and a spring on every weight that moves the outputs.
title = 'MAS'
method = dict(type='MAS')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-4, 3e-4, 1e-3, 3e-3]),
    penalty=dict(option='forget.method.penalty', values=[.0005, .005, .05]),
)
