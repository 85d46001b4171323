# LoRA in the encoder, in the decoder, or in both.
base = '../gslora/ddetr_shapes_forget.py'
study = dict(
    name='LoRA in encoder and decoder (Deformable DETR, shapes)',
    seeds=[0, 1, 2],
    options={'forget.requests': [['star', 'ring', 'heart']]},
    axes=dict(
        layers=dict(
            both={},
            encoder={'forget.lora.include': ['encoder']},
            decoder={'forget.lora.include': ['decoder']})))
