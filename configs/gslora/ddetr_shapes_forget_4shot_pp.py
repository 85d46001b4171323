# Four images of every class, with prototypes; see ./ddetr_shapes_forget_pp.py.
_base_ = './ddetr_shapes_forget_4shot.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus', prototype_forget=.01, prototype_retain=.01))
