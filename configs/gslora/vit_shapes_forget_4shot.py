# The classifier of the demo, with four images of every class.
_base_ = './vit_shapes_forget.py'
forget = dict(data=dict(shots=4))
