# Single-step forgetting, 80-5: book, apple, couch, horse, keyboard at once.
# Another size: --cfg-options forget.requests=coco-80-30 forget.method.beta=.06
_base_ = './ddetr_coco_forget.py'
forget = dict(requests='coco-80-5', method=dict(beta=.008))
optim_wrapper = dict(optimizer=dict(lr=2e-4))
