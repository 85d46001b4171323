# Your own people: forget three times eight of 38 from the face model made by
# ../pretrain/vit_faces.py. Beside the accuracy of the head, a gallery test
# tells whether they are still identified by their embeddings.
#
#   DATA_ROOT=FOLDER python tools/train.py configs/gslora/vit_faces_forget.py
_base_ = [
    '../_base_/vit_faces.py', '../_base_/forget_schedule.py',
    'mmpretrain::_base_/default_runtime.py'
]
custom_imports = dict(imports=['gslora_mm'], allow_failed_imports=False)
load_from = 'work_dirs/vit_faces_base/base.pth'
randomness = dict(seed=0)
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
    # Every image must be forgotten, and confident images have a gradient: the
    # margin is as large as the scale of the head, and the bound lies above it.
    # Who stays must lie far from all who are forgotten, or these come back
    # with the next request.
    model=dict(per_sample=True, forget_margin=32., retain_margin=16.),
    method=dict(beta=0.5, late_beta=0.25, alpha=20., bound=46.),
    # 16 forget and 32 retain images a batch.
    data=dict(forget_per_batch=16),
    gallery=dict(far=1e-2))
default_hooks = dict(logger=dict(interval=24))
