# GS-LoRA++ on ImageNet-100, the published continual setting. Weights are those
# of the authors' script, faithfully: the retain half of the prototype term is
# off (prototype_retain=0). Its average of the weights, which was measured and
# never used: --cfg-options forget.ema.start=30 forget.ema.decay=.9
_base_ = './vit-b_in100_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.05,
        prototype_retain=0.,
        prototype_bound=18.))
