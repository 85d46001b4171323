# GS-LoRA++ with five missing people, as in the authors' script: the retain
# half of the prototype term is off (prototype_retain=0).
_base_ = './facevit_casia100_forget_missing.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.0003,
        prototype_retain=0.,
        prototype_bound=18.))
