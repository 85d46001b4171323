# GS-LoRA++ with four images of every person, as in the authors' script: the
# retain half of the prototype term is off (prototype_retain=0). On the average
# of the weights, see ./facevit_casia100_forget_pp.py.
_base_ = './facevit_casia100_forget_4shot.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=[.015, .06, .025, .012],
        prototype_retain=0.,
        prototype_bound=50.),
    ema=dict(start=30, decay=.9))
