# No image of the retain stream: what surrounds the forgotten objects in
# their images says what stays.
_base_ = './ddetr_shapes_counterfactual.py'
forget = dict(method=dict(retain=0.))
