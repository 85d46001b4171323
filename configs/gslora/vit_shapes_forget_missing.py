# The classifier of the demo, where training has no sample of two of the three
# classes that always stay. They are measured apart, as Acc_m.
_base_ = './vit_shapes_forget.py'
forget = dict(unseen=['semicircle', 'pentagon'])
