# Four images of every class, with prototypes.
_base_ = './vit_shapes_forget_pp.py'
forget = dict(data=dict(shots=4))
