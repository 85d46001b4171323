# Distillation without the forgotten classes, into the head alone.
title = 'Head distillation'
method = dict(type='HeadDistillation')
train = 'head'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr',
        values=[1e-4, 3e-4, 1e-3, 3e-3, 1e-2]), )
