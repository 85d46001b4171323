# What comes back where fewer and fewer blocks moved; run
# ./sparse_ddetr_shapes.py first.
_base_ = './recover_flat_ddetr_shapes.py'
comparison = './sparse_ddetr_shapes.py'
recovery = dict(name='What comes back where fewer and fewer blocks moved')
