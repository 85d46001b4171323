# GS-LoRA++ in a single step, 80-5, with the prototype term of the authors'
# few-shot script (prototype_retain=0).
_base_ = './ddetr_coco_forget_single.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.005,
        prototype_retain=0.,
        prototype_bound=18.))
