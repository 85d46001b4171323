# The detector of the demo, with four images of every class. Of so few, all
# queries of the forget stream are soon learnt by heart, and the classes stay:
# only those matched to forgotten objects count.
_base_ = './ddetr_shapes_forget.py'
forget = dict(data=dict(shots=4), model=dict(forget_queries='matched'))
