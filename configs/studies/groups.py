# What a group is, and where LoRA sits. The weight of the penalty is the same
# for all: smaller groups have smaller norms and are pruned sooner.
base = '../gslora/vit_shapes_forget.py'
study = dict(
    name='Group strategy and LoRA position (ViT, shapes)',
    seeds=[0, 1, 2],
    options={'forget.requests': [['star', 'ring', 'heart']]},
    axes=dict(
        group=dict(option='forget.group', values=['block', 'lora', 'matrix']),
        position=dict(
            option='forget.lora.position', values=['ffn', 'attention',
                                                   'both'])))
