# Which blocks counterfactual features need: the more the group penalty
# weighs, the fewer blocks move. On the first request of the demo, one seed.
#
#   python tools/compare.py configs/compare/sparse_vit_shapes.py
_base_ = './sparse_ddetr_shapes.py'
base = '../gslora/vit_shapes_counterfactual.py'
comparison = dict(
    name='Counterfactual features, fewer and fewer blocks (ViT, shapes)')
