# Ascent on what goes, as published.
title = 'Gradient ascent'
method = dict(type='GradientAscent')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr',
        values=[1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3]), )
