# Whether the classes come back when the head is retrained; run ./demo_vit.py
# first. With the model that never saw them, and in more ways:
# ./recover_vit_shapes.py.
_base_ = './recover_vit_shapes.py'
comparison = './demo_vit.py'
recovery = dict(
    name='What comes back (ViT, shapes)',
    methods=['gs_lora', 'counterfactual'],
    reference=None,
    variants=dict(_delete_=True, full=dict()),
    probes=None,
    seeds=[0])
