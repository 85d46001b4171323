# From scratch, on what stays of the images given.
title = 'Retrain'
method = dict(type='Retrain')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[3e-4, 1e-3, 2e-3,
                                                     4e-3]), )
