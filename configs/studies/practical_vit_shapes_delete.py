# The practical settings with the masked teacher of DELETE on LoRA, which has
# no classes to push away: what it keeps beside practical_vit_shapes.py.
base = '../gslora/vit_shapes_forget{setting}.py'
study = dict(
    name='Practical settings, DELETE on LoRA (ViT, shapes)',
    axes=dict(
        setting=dict(files={
            'missing': '_missing',
            '4shot': '_4shot'
        }),
        method=dict(
            DELETE={
                'forget.method': dict(_delete_=True, type='DELETE', retain=1.)
            })),
    seeds=[0, 1, 2])
