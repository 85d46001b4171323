# GS-LoRA on faces, the published continual setting: Face Transformer
# ViT-P8S8 on CASIA-Face100, four requests of twenty people in the published
# order, 10 % of the images of either stream. Hyper-parameters are those of
# the authors' current script for this setting (its first version has 0.25
# for the last beta); the prototype term of that script is not part of GS-LoRA.
#
#   python tools/convert_checkpoint.py PUBLISHED.pth data/facevit_casia100.pth
#   python tools/train.py configs/gslora/facevit_casia100_forget.py
#
# Images: see ../pretrain/facevit_casia100.py.
_base_ = '../pretrain/facevit_casia100.py'
load_from = 'data/facevit_casia100.pth'

forget = dict(
    requests='class100-4x20',
    # The published scaling is 1 / rank.
    lora=dict(rank=8, alpha=1),
    group='block',
    method=dict(
        type='GSLoRA',
        beta=[.2, .25, .25, .2],
        alpha=1e-4,
        sparsity_start=0,
        bound=105.,
        mode='subgradient'),
    data=dict(ratio=0.1, forget_per_batch=48),
    # Are forgotten people still identified by their embeddings?
    gallery=dict(far=1e-3))

# 48 forget and 48 retain images a step.
train_dataloader = dict(batch_size=96, num_workers=4)
max_epochs = 100
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.05))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs,
        eta_min=1e-5,
        by_epoch=True,
        begin=0,
        end=max_epochs)
]
