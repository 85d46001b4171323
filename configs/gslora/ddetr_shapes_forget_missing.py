# The detector of the demo, where training has no sample of two of the three
# classes that always stay. They are measured apart, as AP_m. Only the queries
# matched to forgotten objects count in the forget loss: over all queries, it
# also rewards whatever raises the loss of the others, and nothing holds the
# missing classes against that.
_base_ = './ddetr_shapes_forget.py'
forget = dict(
    unseen=['semicircle', 'pentagon'], model=dict(forget_queries='matched'))
