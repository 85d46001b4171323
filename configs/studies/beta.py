# Weight of the forget term, in the last epochs three tenths of it as in the
# base config.
base = '../gslora/vit_shapes_forget.py'
study = dict(
    name='Weight of the forget term, beta (ViT, shapes)',
    seeds=[0, 1, 2],
    options={'forget.requests': [['star', 'ring', 'heart']]},
    axes=dict(
        beta={
            str(value): {
                'forget.method.beta': value,
                'forget.method.late_beta': round(.3 * value, 6)
            }
            for value in (.02, .05, .1, .2, .5, 1.)
        }))
