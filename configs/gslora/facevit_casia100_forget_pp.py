# GS-LoRA++ on faces, the published continual setting. Weights are those of the
# authors' script, faithfully: the retain half of the prototype term is off
# (prototype_retain=0). Prototypes are those of the original model, as in the
# paper; the script takes them anew from the model before each request. Its
# average of the weights, which was measured and never used:
# --cfg-options forget.ema.start=30 forget.ema.decay=.9
_base_ = './facevit_casia100_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.01,
        prototype_retain=0.,
        prototype_bound=18.))
