# Missing classes, with prototypes; see ./vit_shapes_forget_missing.py.
_base_ = './vit_shapes_forget_pp.py'
forget = dict(unseen=['semicircle', 'pentagon'])
