# The detector of the demo, forgetting by the counterfactual teacher: the
# original model, shown every image with the forgotten objects painted out,
# says what shall be said of the image as it is.
_base_ = './ddetr_shapes_forget.py'
forget = dict(
    lora=dict(rank=32, alpha=32, position='both'),
    method=dict(
        _delete_=True,
        type='CounterfactualTeacher',
        teacher_cache=3000.,
        half_cache=True),
    data=dict(ratio=1., epoch_batches=30))
train_cfg = dict(max_epochs=36)
optim_wrapper = dict(optimizer=dict(lr=2e-3, fused=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=.05, by_epoch=False, begin=0, end=30),
    dict(
        type='CosineAnnealingLR',
        T_max=24,
        begin=12,
        end=36,
        by_epoch=True,
        convert_to_iter_based=True)
]
