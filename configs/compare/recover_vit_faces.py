# What comes back of forgotten classes, people in folders; run
# ./vit_faces.py first.
#
#   DATA_ROOT=FOLDER python tools/recover.py \
#       configs/compare/recover_vit_faces.py
_base_ = '../_base_/recovery.py'
comparison = './vit_faces.py'
recovery = dict(
    name='Recovery (ViT, faces)',
    reference=dict(config='../pretrain/vit_faces.py', as_long=True),
    # Of some people there are 44.
    probes=dict(images=40),
    steps=[0, 5, 10, 20, 50, 100, 200, 400])
