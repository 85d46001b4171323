# Rank of LoRA; its scale alpha / rank stays 1.
base = '../gslora/vit_shapes_forget.py'
study = dict(
    name='Rank (ViT, shapes)',
    seeds=[0, 1, 2],
    options={'forget.requests': [['star', 'ring', 'heart']]},
    axes=dict(
        rank=dict(
            option=['forget.lora.rank', 'forget.lora.alpha'],
            values=[1, 2, 4, 8, 16, 32])))
