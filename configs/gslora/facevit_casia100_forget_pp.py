# GS-LoRA++ on faces, the published continual setting. Weights are those of the
# authors' script, faithfully: the retain half of the prototype term is off
# (prototype_retain=0). Prototypes are those of the original model, as in the
# paper; the script takes them anew from the model before each request. It
# measures the average of the weights and hands on the last ones; here the
# average is the result.
_base_ = './facevit_casia100_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.01,
        prototype_retain=0.,
        prototype_bound=18.),
    ema=dict(start=30, decay=.9))
