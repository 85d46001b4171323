# Four images of every class. They come again and again, so that what the
# teacher says of them is soon in its cache: of each there are two variants.
_base_ = './ddetr_shapes_counterfactual.py'
forget = dict(data=dict(shots=4, variants=2))
