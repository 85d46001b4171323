# The published Face Transformer ViT-P8S8 with its CosFace head, as a model of
# mmpretrain; 19,157,504 parameters. tools/convert_checkpoint.py converts its
# checkpoints. Attention here scales by 64**-0.5 where the original scales by
# 512**-0.5: the converter folds the difference into the query weights.
model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    # RGB in [0, 1], no further normalisation.
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[0., 0., 0.],
        std=[255., 255., 255.],
        to_rgb=True),
    backbone=dict(
        type='VisionTransformer',
        arch=dict(
            embed_dims=512,
            num_layers=6,
            num_heads=8,
            feedforward_channels=2048),
        img_size=112,
        patch_size=8,
        drop_rate=0.1,
        qkv_bias=False,
        # torch's default; mmpretrain's would be 1e-6.
        norm_cfg=dict(type='LN', eps=1e-5),
        final_norm=True,
        out_type='cls_token',
        layer_cfgs=dict(act_cfg=dict(type='GELU'))),
    neck=None,
    head=dict(
        type='gslora_mm.CosFaceClsHead',
        num_classes=100,
        in_channels=512,
        s=64.,
        m=0.35,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0)))
