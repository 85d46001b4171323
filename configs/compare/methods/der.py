# Wrong labels, and the original logits of what stays.
title = 'DER'
method = dict(type='DER')
train = 'all'
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-4, 3e-4, 1e-3, 3e-3]),
    match=dict(option='forget.method.match', values=[.001, .01, .1]),
)
