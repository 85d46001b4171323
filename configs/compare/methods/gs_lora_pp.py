# GS-LoRA with prototypes of the original model, as the recipes of the tasks.
title = 'GS-LoRA++'
options = {
    'forget.method.type': 'GSLoRAPlusPlus',
    'forget.method.prototype_forget': .1,
    'forget.method.prototype_bound': 3.,
    'forget.method.prototype_retain': 1.,
    'forget.method.prototype_slack': 2.,
}
search = dict(
    lr=dict(
        option='optim_wrapper.optimizer.lr', values=[1e-3, 2e-3, 4e-3, 8e-3]),
    prototype_forget=dict(
        option='forget.method.prototype_forget', values=[.03, .1, .3]),
)
per_task = dict(
    detection=dict(
        options={
            'forget.method.prototype_bound': 1.,
            'forget.method.prototype_retain': 5.,
            'forget.prototypes': dict(source='mean'),
        }))
