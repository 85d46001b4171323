# Which learning rate brings most back, for recover_vit_shapes.py: asked of the
# original and of the model that never saw the classes, not of any method, and
# on other images than those of the evaluation.
#
#   python tools/recover.py configs/compare/recover_lr_vit_shapes.py \
#       --work-dir work_dirs/compare/vit_shapes
comparison = './vit_shapes.py'
recovery = dict(
    name='Learning rates of a recovery (ViT, shapes)',
    folder='recover_lr',
    methods=[],
    settings=['single'],
    # Those of the search of the comparison.
    options={
        'val_dataloader.dataset.data_root': 'data/shapes_cls_search/',
        'val_dataloader.dataset.recipe': dict(seed=1, num_train=0),
    },
    reference=dict(config='../pretrain/vit_shapes.py'),
    variants={
        '1e-3': dict(lr=1e-3),
        '3e-3': dict(lr=3e-3),
        '1e-2': dict(lr=1e-2),
        '3e-2': dict(lr=3e-2),
        '1e-1': dict(lr=1e-1),
    },
    steps=[0, 50, 200],
    seeds=[0])
