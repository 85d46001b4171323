# Your own people: forget three times eight of 38 from the face model made by
# ../pretrain/vit_faces.py.
#
#   DATA_ROOT=FOLDER python tools/train.py configs/gslora/vit_faces_forget.py
_base_ = '../pretrain/vit_faces.py'
load_from = 'work_dirs/vit_faces_base/base.pth'
train_dataloader = dict(batch_size=48, num_workers=0, persistent_workers=False)

forget = dict(
    # The published rule: places of the sorted folders, shuffled by Python's
    # generator with seed 1337, from the tail.
    requests=[
        [
            'yaleB13', 'yaleB21', 'yaleB38', 'yaleB26', 'yaleB23', 'yaleB11',
            'yaleB25', 'yaleB36'
        ],
        [
            'yaleB22', 'yaleB15', 'yaleB04', 'yaleB12', 'yaleB39', 'yaleB35',
            'yaleB07', 'yaleB24'
        ],
        [
            'yaleB37', 'yaleB10', 'yaleB19', 'yaleB28', 'yaleB27', 'yaleB18',
            'yaleB03', 'yaleB32'
        ],
    ],
    lora=dict(rank=8, alpha=8),
    group='block',
    # The bound follows from the scale of the head: 105 for 64, here 52.5.
    method=dict(
        type='GSLoRA', beta=0.2, alpha=20., sparsity_start=2, mode='proximal'),
    # Half of the images of either stream; 16 forget and 32 retain images a
    # batch.
    data=dict(ratio=0.5, forget_per_batch=16, epoch_batches=14))
train_cfg = dict(max_epochs=10)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.),
    clip_grad=dict(max_norm=1.0, norm_type=2))
default_hooks = dict(logger=dict(interval=15))
# Constant for half of the epochs, then down to zero.
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=5,
        eta_min=1e-5,
        begin=5,
        end=10,
        by_epoch=True,
        convert_to_iter_based=True)
]
