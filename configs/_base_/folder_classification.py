# Your own images in folders, one for each class:
# DATA_ROOT/train/<class>/*, DATA_ROOT/test/<class>/*. Classes are called as
# their folders. A child sets the sizes: those of images in the pipelines,
# batch sizes, model.head.num_classes. Where the folder of the evaluation is
# called val: --cfg-options val_dataloader.dataset.data_prefix=val
data_root = '{{$DATA_ROOT:data/folders/}}'
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        _scope_='mmpretrain',
        type='CustomDataset',
        data_root=data_root,
        data_prefix='train',
        pipeline=pipeline))
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        _scope_='mmpretrain',
        type='CustomDataset',
        data_root=data_root,
        data_prefix='test',
        pipeline=pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_scope_='mmpretrain', type='Accuracy', topk=(1, ))
test_evaluator = val_evaluator
