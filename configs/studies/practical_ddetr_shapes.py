# The same for a detector.
_base_ = './practical_vit_shapes.py'
base = '../gslora/ddetr_shapes_forget{setting}{method}.py'
study = dict(name='Practical settings (Deformable DETR, shapes)')
