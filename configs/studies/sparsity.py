# How the group penalty enters: the exact proximal step, or the sub-gradient of
# the published code, at its own weight and at larger ones.
base = '../gslora/vit_shapes_forget.py'
_subgradient = {'forget.method.mode': 'subgradient'}
study = dict(
    name='Sparsity mode (ViT, shapes)',
    seeds=[0, 1, 2],
    options={'forget.requests': [['star', 'ring', 'heart']]},
    axes=dict(
        sparsity={
            'off': {'forget.method.alpha': 0.},
            'proximal': {'forget.method.mode': 'proximal'},
            'subgradient-3e-4': {**_subgradient, 'forget.method.alpha': 3e-4},
            'subgradient-1e-2': {**_subgradient, 'forget.method.alpha': 1e-2},
            'subgradient-0.3': {**_subgradient, 'forget.method.alpha': .3},
        }))  # yapf: disable
