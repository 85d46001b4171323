# A long sequence: thirty requests of one class each, of 36. The base model is
# that of configs/pretrain/vit_shapes_long.py.
_base_ = './vit_shapes_forget.py'
load_from = 'work_dirs/vit_shapes_long_base/base.pth'
data_root = 'data/shapes_long/'
recipe = dict(num_train=150, num_val=30)
_data = dict(
    type='gslora_mm.StyledShapesFolder', data_root=data_root, recipe=recipe)
model = dict(data_preprocessor=dict(num_classes=36), head=dict(num_classes=36))
train_dataloader = dict(dataset=_data)
val_dataloader = dict(dataset=_data)
test_dataloader = dict(dataset=_data)

# Six classes are left in the end: hearts and drops in every look.
_shapes = ('star', 'square', 'hexagon', 'triangle', 'crescent', 'arrow',
           'ellipse', 'cross', 'rectangle', 'semicircle')
forget = dict(requests=[[f'{look}-{shape}']
                        for look in ('halved', 'solid', 'outlined')
                        for shape in _shapes])
