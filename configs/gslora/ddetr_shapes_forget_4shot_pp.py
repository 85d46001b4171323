# Four images of every class, with prototypes; see
# ./ddetr_shapes_forget_4shot.py.
_base_ = './ddetr_shapes_forget_pp.py'
forget = dict(data=dict(shots=4), model=dict(forget_queries='matched'))
