# GS-LoRA on COCO, the published continual setting: Deformable DETR R50, seven
# requests of ten classes in the published order, 10 % of the images of either
# stream. Hyper-parameters are those of the authors' script for this setting.
#
#   python tools/train.py configs/gslora/ddetr_coco_forget.py
#   torchrun --nproc-per-node 8 tools/train.py \
#       configs/gslora/ddetr_coco_forget.py --launcher pytorch
_base_ = 'mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py'
custom_imports = dict(imports=['gslora_mm'], allow_failed_imports=False)
load_from = 'https://download.openmmlab.com/mmdetection/v3.0/deformable_detr/deformable-detr_r50_16xb2-50e_coco/deformable-detr_r50_16xb2-50e_coco_20221029_210934-6bc7d21b.pth'  # noqa: E501
randomness = dict(seed=0)

forget = dict(
    requests='coco-7x10',
    # The published scaling is 1 / rank.
    lora=dict(rank=8, alpha=1),
    group='block',
    method=dict(
        type='GSLoRA',
        beta=[.015, .03, .14, .13, .13, .15, .15],
        alpha=3e-4,
        sparsity_start=0,
        bound=15.,
        mode='subgradient'),
    data=dict(ratio=0.1, count_crowd=True, forget_per_batch=4))

# A process sees 4 forget and 4 retain images a step; published on 8 GPUs.
train_dataloader = dict(batch_size=8, num_workers=4)
max_epochs = 30
train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2))
# The published drop comes at epoch 40, after the end.
param_scheduler = []
