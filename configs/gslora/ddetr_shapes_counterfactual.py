# The detector of the demo, forgetting by the counterfactual teacher: the
# original model looks at every image with the forgotten objects painted out.
_base_ = './ddetr_shapes_forget.py'
forget = dict(
    method=dict(
        _delete_=True,
        type='CounterfactualTeacher',
        memory=4.,
        embeddings=2.,
        scores=2.,
        boxes=1.),
    painting=dict(fill='telea', margin=2.))
