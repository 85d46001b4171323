# A Deformable DETR that trains on two CPU cores: ResNet-18 at 3/8 width,
# 3 + 3 layers of width 128, 30 queries, box refinement. 2.8 M parameters.
model = dict(
    _scope_='mmdet',
    type='DeformableDETR',
    num_queries=30,
    num_feature_levels=3,
    with_box_refine=True,
    as_two_stage=False,
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=1),
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=24,
        stem_channels=24,
        num_stages=4,
        out_indices=(1, 2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch'),
    neck=dict(
        type='ChannelMapper',
        in_channels=[48, 96, 192],
        kernel_size=1,
        out_channels=128,
        act_cfg=None,
        norm_cfg=dict(type='GN', num_groups=32),
        num_outs=3),
    encoder=dict(
        num_layers=3,
        layer_cfg=dict(
            self_attn_cfg=dict(
                embed_dims=128,
                num_levels=3,
                num_points=2,
                dropout=0.0,
                batch_first=True),
            ffn_cfg=dict(
                embed_dims=128, feedforward_channels=384, ffn_drop=0.0))),
    decoder=dict(
        num_layers=3,
        return_intermediate=True,
        layer_cfg=dict(
            self_attn_cfg=dict(
                embed_dims=128, num_heads=8, dropout=0.0, batch_first=True),
            cross_attn_cfg=dict(
                embed_dims=128,
                num_levels=3,
                num_points=2,
                dropout=0.0,
                batch_first=True),
            ffn_cfg=dict(
                embed_dims=128, feedforward_channels=384, ffn_drop=0.0)),
        post_norm_cfg=None),
    positional_encoding=dict(num_feats=64, normalize=True, offset=-0.5),
    bbox_head=dict(
        type='DeformableDETRHead',
        num_classes=15,
        embed_dims=128,
        sync_cls_avg_factor=True,
        loss_cls=dict(
            type='FocalLoss',
            use_sigmoid=True,
            gamma=2.0,
            alpha=0.25,
            loss_weight=2.0),
        loss_bbox=dict(type='L1Loss', loss_weight=5.0),
        loss_iou=dict(type='GIoULoss', loss_weight=2.0)),
    train_cfg=dict(
        assigner=dict(
            type='HungarianAssigner',
            match_costs=[
                dict(type='FocalLossCost', weight=2.0),
                dict(type='BBoxL1Cost', weight=5.0, box_format='xywh'),
                dict(type='IoUCost', iou_mode='giou', weight=2.0)
            ])),
    test_cfg=dict(max_per_img=30))
