# Missing classes, with prototypes; see ./ddetr_shapes_forget_missing.py.
_base_ = './ddetr_shapes_forget_pp.py'
forget = dict(
    unseen=['semicircle', 'pentagon'], model=dict(forget_queries='matched'))
