# ./counterfactual_deep.py without an image of the retain stream: what
# surrounds the forgotten objects in their images says what stays.
_base_ = './counterfactual_deep.py'
title = 'Counterfactual, deep, no retain data'
method = dict(retain=0.)
# There it has a value of its own.
per_task = dict(classification=dict(method=dict(retain=0.)))
