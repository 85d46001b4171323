# Wrong labels, and the distance of the outputs of what stays.
title = 'FDR'
method = dict(type='FDR')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-4, 3e-4, 1e-3, 3e-3]),
    match=dict(option='forget.method.match', values=[5., 50., 500.]),
)
