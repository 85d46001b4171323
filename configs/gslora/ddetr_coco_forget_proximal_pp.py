# Exact group sparsity, with both halves of the prototype term. Weights are
# guesses; they have not been run on COCO.
_base_ = './ddetr_coco_forget_proximal.py'
forget = dict(
    method=dict(
        type='GSLoRAPlusPlus', prototype_forget=.005, prototype_retain=.005))
