# GS-LoRA++ on COCO, the continual setting. The prototype term is that of the
# authors' few-shot script, the only one published for COCO, with its retain
# half off (prototype_retain=0); all else is that of GS-LoRA.
_base_ = './ddetr_coco_forget.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus',
        prototype_forget=.005,
        prototype_retain=0.,
        prototype_bound=18.))
