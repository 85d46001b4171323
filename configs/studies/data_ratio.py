# Share of the training images that both streams may use. Epochs have the same
# number of batches, so that all train equally long.
base = '../gslora/vit_shapes_forget.py'
study = dict(
    name='Share of the training data (ViT, shapes)',
    seeds=[0, 1, 2],
    options={'forget.requests': [['star', 'ring', 'heart']]},
    axes=dict(
        ratio=dict(option='forget.data.ratio', values=[.01, .03, .1, .3, 1.])))
