# GS-LoRA++ in a single step, 100-5. Hyper-parameters are those of the authors'
# current script, faithfully: the retain half is off (prototype_retain=0). (The
# script takes its prototypes from a network before its weights are loaded.) On
# the average of the weights, see ./facevit_casia100_forget_pp.py.
_base_ = './facevit_casia100_forget_5.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        beta=.05,
        prototype_forget=.005,
        prototype_retain=0.,
        prototype_bound=18.),
    ema=dict(start=50, decay=.9))
