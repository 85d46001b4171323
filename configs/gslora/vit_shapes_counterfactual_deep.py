# The classifier of the demo, forgetting more deeply: the whole model learns
# counterfactual features of all its blocks, after 7.5 % of every weight were
# drawn anew.
_base_ = './vit_shapes_counterfactual.py'
forget = dict(
    lora=None,
    group=None,
    train='all',
    method=dict(anew=.075, blocks=6, retain=5.))
