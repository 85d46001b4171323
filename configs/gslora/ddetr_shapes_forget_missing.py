# The detector of the demo, where training has no sample of two of the three
# classes that always stay. They are measured apart, as AP_m.
_base_ = './ddetr_shapes_forget.py'
forget = dict(unseen=['semicircle', 'pentagon'])
