# GS-LoRA++ with 32 images of every class, hyper-parameters of the authors'
# script, faithfully: the retain half of the prototype term is off
# (prototype_retain=0). The published draw, 32 x classes images from the pool:
# --cfg-options forget.data.shots_per_class=False
_base_ = './ddetr_coco_forget_few-shot.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.005,
        prototype_retain=0.,
        prototype_bound=18.))
