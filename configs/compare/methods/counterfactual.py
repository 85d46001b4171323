# The original model, shown every image without what is forgotten, says what
# shall be said of the whole image.
title = 'Counterfactual teacher'
method = dict(type='CounterfactualTeacher', mask=True)
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-3, 2e-3, 4e-3, 8e-3]),
    memory=dict(option='forget.method.memory', values=[.5, 1., 2.]),
)
