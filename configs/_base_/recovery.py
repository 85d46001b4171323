# What recoveries have in common.
recovery = dict(
    methods=[
        'gs_lora', 'gs_lora_pp', 'output_filter', 'row_reset', 'delete',
        'scrub'
    ],
    settings=['single'],
    variants={
        # All training images; four of each forgotten class; five, and no
        # gradient.
        'full': dict(),
        'few-shot': dict(shots=4),
        'prototype': dict(images=5, mix=.5),
    },
    lr=1e-2,
    seeds=[0, 1, 2])
