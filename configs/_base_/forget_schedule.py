# Twelve short epochs with exact group sparsity: two to forget, then the
# penalty chooses the groups until the eighth, and the last ones repair what
# forgetting did to the others. The learning rate is constant for half of the
# epochs, then falls to zero.
forget = dict(
    lora=dict(rank=8, alpha=8),
    group='block',
    method=dict(
        type='GSLoRA',
        beta=0.2,
        late_beta=0.06,
        late_start=7,
        alpha=33.,
        sparsity_start=2,
        sparsity_end=8,
        mode='proximal'),
    # All images of either stream.
    data=dict(ratio=1., epoch_batches=24))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.),
    clip_grad=dict(max_norm=1.0, norm_type=2))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=6,
        eta_min=1e-5,
        begin=6,
        end=12,
        by_epoch=True,
        convert_to_iter_based=True)
]
