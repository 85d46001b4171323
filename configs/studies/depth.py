# Depth of the model. Each depth has a base model of its own, trained here for
# a fifth of the epochs of configs/pretrain/vit_shapes.py.
base = '../gslora/vit_shapes_forget.py'
study = dict(
    name='Depth of the model (ViT, shapes)',
    seeds=[0, 1, 2],
    options={'forget.requests': [['star', 'ring', 'heart']]},
    axes=dict(
        depth=dict(
            option='model.backbone.arch.num_layers',
            values=[3, 6, 9],
            prepare=dict(
                config='../pretrain/vit_shapes.py',
                options={
                    'train_cfg.max_epochs': 12,
                    'train_cfg.val_interval': 12,
                    'param_scheduler.1.T_max': 12,
                    'param_scheduler.1.end': 12,
                    'default_hooks.checkpoint.interval': 1
                }))))
