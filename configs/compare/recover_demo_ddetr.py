# Whether the classes come back when the head is retrained; run ./demo_ddetr.py
# first. With the model that never saw them, and in more ways:
# ./recover_ddetr_shapes.py.
_base_ = './recover_ddetr_shapes.py'
comparison = './demo_ddetr.py'
recovery = dict(
    name='What comes back (Deformable DETR, shapes)',
    methods=['gs_lora', 'counterfactual'],
    reference=None,
    variants=dict(_delete_=True, full=dict()),
    probes=None,
    seeds=[0])
