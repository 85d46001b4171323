# Away from the original on what goes, towards it on what stays.
title = 'SCRUB'
# One cycle, as long as the training.
method = dict(type='SCRUB', cycle=12)
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-4, 3e-4, 1e-3, 3e-3]),
    max_epochs=dict(option='forget.method.max_epochs', values=[2, 3, 5]),
)
per_task = dict(detection=dict(method=dict(cycle=10)))
