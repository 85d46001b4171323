# What recoveries have in common.

# The whole model, from so many images of each forgotten class. They are a
# quarter of every batch: strewn among all others a single image would come up
# twice in a curve.
_tune = dict(train='all', share=.25, lr=3e-4, steps=[0, 2, 5, 10, 20, 50, 100])
recovery = dict(
    methods=[
        'gs_lora', 'gs_lora_pp', 'output_filter', 'row_reset', 'delete',
        'scrub', 'counterfactual', 'counterfactual_deep'
    ],
    settings=['single'],
    variants={
        # The head, from all training images.
        'full': dict(),
        # The head, from four images of each forgotten class.
        'few-shot': dict(shots=4),
        # Five images of each class, and no gradient.
        'prototype': dict(images=5, mix=.5),
        '1-shot': dict(shots=1, **_tune),
        '5-shot': dict(shots=5, **_tune),
        '10-shot': dict(shots=10, **_tune),
    },
    # Of the head. On the ViT of the shapes, all values from 1e-2 to 1e-1 bring
    # the model that never saw the classes about as high in 200 steps (.906,
    # .922, .933): see ../compare/recover_lr_vit_shapes.py.
    lr=3e-2,
    # Training images of each class that linear probes learn from.
    probes=dict(images=100),
    seeds=[0, 1, 2])
