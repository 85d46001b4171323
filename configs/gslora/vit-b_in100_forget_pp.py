# GS-LoRA++ on ImageNet-100, the published continual setting. Weights are those
# of the authors' script, faithfully: the retain half of the prototype term is
# off (prototype_retain=0). On the average of the weights, see
# ./facevit_casia100_forget_pp.py.
_base_ = './vit-b_in100_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.05,
        prototype_retain=0.,
        prototype_bound=18.),
    ema=dict(start=30, decay=.9))
