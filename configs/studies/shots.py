# Training images of each class, in both streams. Epochs have the same number
# of batches, so that all train equally long.
base = '../gslora/vit_shapes_forget.py'
study = dict(
    name='Shots (ViT, shapes)',
    seeds=[0, 1, 2],
    options={'forget.requests': [['star', 'ring', 'heart']]},
    axes=dict(
        shots=dict(option='forget.data.shots', values=[2, 4, 8, 16, 32, 64])))
