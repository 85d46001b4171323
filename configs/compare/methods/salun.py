# Wrong labels on the weights that matter for what goes.
title = 'SalUn'
method = dict(type='SalUn')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-4, 3e-4, 1e-3, 3e-3]),
    share=dict(option='forget.method.share', values=[.1, .3, .5]),
)
