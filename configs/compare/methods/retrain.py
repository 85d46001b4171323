# From scratch, on what stays of the images given.
title = 'Retrain'
method = dict(type='Retrain')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr',
        values=[1e-4, 3e-4, 6e-4, 1e-3, 2e-3, 4e-3, 8e-3, 2e-2]), )
