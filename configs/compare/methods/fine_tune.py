# Training on what stays, nothing else.
title = 'Fine-tune'
method = dict(type='FineTune')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr',
        values=[3e-5, 1e-4, 2e-4, 3e-4, 6e-4, 1e-3, 2e-3, 4e-3]), )
