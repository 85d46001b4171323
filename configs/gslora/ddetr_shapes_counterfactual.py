# The detector of the demo, forgetting by the counterfactual teacher: the
# original model, shown every image with the forgotten objects painted out,
# says what shall be said of the image as it is.
_base_ = './ddetr_shapes_forget.py'
forget = dict(
    method=dict(
        _delete_=True,
        type='CounterfactualTeacher',
        scores=2.,
        boxes=2.,
        mask=True),
    painting=dict(fill='telea', margin=2.))
