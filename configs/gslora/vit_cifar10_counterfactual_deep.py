# Photographs in folders, forgetting more deeply: the whole model learns
# counterfactual features of all its blocks, after 7.5 % of every weight were
# drawn anew.
#
#   DATA_ROOT=FOLDER python tools/train.py \
#       configs/gslora/vit_cifar10_counterfactual_deep.py
_base_ = './vit_cifar10_counterfactual.py'
forget = dict(
    lora=None,
    group=None,
    train='all',
    method=dict(anew=.075, blocks=6, retain=5.))
