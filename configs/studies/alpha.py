# Weight of the group penalty; 0 is LoRA without it.
base = '../gslora/vit_shapes_forget.py'
study = dict(
    name='Weight of the sparsity, alpha (ViT, shapes)',
    seeds=[0, 1, 2],
    options={'forget.requests': [['star', 'ring', 'heart']]},
    axes=dict(
        alpha=dict(
            option='forget.method.alpha', values=[0, 3, 10, 33, 100, 330])))
