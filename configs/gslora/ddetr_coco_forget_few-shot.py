# The continual setting with 32 images of every class on both streams. The
# published script draws 32 x classes images from the pool instead:
# --cfg-options forget.data.shots_per_class=False
_base_ = './ddetr_coco_forget.py'
forget = dict(
    method=dict(beta=[.15, .15, .35, .6, .15, .2, .2]),
    data=dict(ratio=1.0, shots=32))
