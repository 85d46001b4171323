# A ViT that trains on two CPU cores: 36 tokens of width 96 from overlapping
# patches, 6 layers, mean of the tokens. 0.75 M parameters.
model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        num_classes=15,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True),
    backbone=dict(
        type='VisionTransformer',
        arch=dict(
            embed_dims=96, num_layers=6, num_heads=4,
            feedforward_channels=384),
        img_size=48,
        patch_size=8,
        # Patches that overlap by half: it learns in fewer images.
        patch_cfg=dict(kernel_size=16, padding=4),
        out_type='avg_featmap',
        with_cls_token=False,
        final_norm=False,
        init_cfg=dict(type='Xavier', layer='Linear', distribution='uniform')),
    neck=None,
    head=dict(
        type='LinearClsHead',
        num_classes=15,
        in_channels=96,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, )))
