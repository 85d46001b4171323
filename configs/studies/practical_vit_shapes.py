# GS-LoRA and GS-LoRA++ with all data, with four images of every class, and
# where training has no image of two classes that stay.
base = '../gslora/vit_shapes_forget{setting}{method}.py'
study = dict(
    name='Practical settings (ViT, shapes)',
    seeds=[0, 1, 2],
    axes=dict(
        setting=dict(files={
            'full': '',
            '4shot': '_4shot',
            'missing': '_missing'
        }),
        method=dict(files={
            'GS-LoRA': '',
            'GS-LoRA++': '_pp'
        })))
