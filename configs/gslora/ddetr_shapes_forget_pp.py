# The detector of the demo, with prototypes of the original model: the mean
# embeddings of the queries matched to a class. (The published ones, rows of
# the last layer, are about as far from the queries of their own class as from
# those of others.) Retained queries are brought back where they are more than
# twice as far from theirs as is usual in their class.
_base_ = './ddetr_shapes_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.05,
        prototype_bound=1.,
        prototype_retain=5.,
        prototype_slack=2.),
    prototypes=dict(source='mean'))
