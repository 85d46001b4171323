# The same for a detector; one seed, `--seeds 0 1 2` for more.
_base_ = './groups.py'
base = '../gslora/ddetr_shapes_forget.py'
study = dict(
    name='Group strategy and LoRA position (Deformable DETR, shapes)',
    seeds=[0])
