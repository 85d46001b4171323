# What comes back where fewer and fewer blocks moved; run
# ./sparse_vit_shapes.py first.
_base_ = './recover_flat_vit_shapes.py'
comparison = './sparse_vit_shapes.py'
recovery = dict(name='What comes back where fewer and fewer blocks moved')
