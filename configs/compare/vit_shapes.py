# Every method on the classifier of the demo:
#
#   python tools/compare.py configs/compare/vit_shapes.py
_base_ = '../_base_/comparison.py'
base = '../gslora/vit_shapes_forget.py'
comparison = dict(
    name='Methods (ViT, shapes)',
    settings=dict(
        single={'forget.requests': [['star', 'ring', 'heart']]}, continual={}),
    search=dict(
        # Other images of the same generator.
        options={
            'forget.requests': [['star', 'ring', 'heart']],
            'val_dataloader.dataset.data_root': 'data/shapes_cls_search/',
            'val_dataloader.dataset.recipe': dict(seed=1, num_train=0),
        }))
