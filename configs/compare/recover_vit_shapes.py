# What comes back of forgotten classes, the classifier of the demo; run
# ./vit_shapes.py first.
#
#   python tools/recover.py configs/compare/recover_vit_shapes.py
_base_ = '../_base_/recovery.py'
comparison = './vit_shapes.py'
recovery = dict(
    name='Recovery (ViT, shapes)',
    reference=dict(config='../pretrain/vit_shapes.py', as_long=True),
    # By ./recover_lr_vit_shapes.py.
    lr=1e-1,
    steps=[0, 5, 10, 20, 50, 100, 200])
