# GS-LoRA++ with two images of every person, as in the authors' script: the
# retain half is off (prototype_retain=0), prototypes are the means over 20
# augmented copies as well. (In the script the copies are not augmented.) On
# the average of the weights, see ./facevit_casia100_forget_pp.py.
_base_ = './facevit_casia100_forget_10_2shot.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.5,
        prototype_retain=0.,
        prototype_bound=18.),
    prototypes=dict(copies=20),
    ema=dict(start=50, decay=.9))
