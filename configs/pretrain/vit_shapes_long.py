# The classifier of the long sequence, 36 classes: `python tools/pretrain.py
# configs/pretrain/vit_shapes_long.py`. Twelve generated shapes, each in three
# looks, written to data/shapes_long on first use.
_base_ = './vit_shapes.py'
data_root = 'data/shapes_long/'
recipe = dict(num_train=150, num_val=30)
_data = dict(
    type='gslora_mm.StyledShapesFolder', data_root=data_root, recipe=recipe)
model = dict(data_preprocessor=dict(num_classes=36), head=dict(num_classes=36))
train_dataloader = dict(dataset=_data)
val_dataloader = dict(dataset=_data)
test_dataloader = dict(dataset=_data)
