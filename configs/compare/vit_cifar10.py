# Some methods on small photographs in folders; data and base model are those
# of ../gslora/vit_cifar10_forget.py:
#
#   DATA_ROOT=FOLDER python tools/compare.py configs/compare/vit_cifar10.py
#
# There is no third set of images. The search trains without a fifth of the
# training images of each class and is measured on it; the base model has
# seen them, as it has all training images.
_base_ = '../_base_/comparison.py'
base = '../gslora/vit_cifar10_forget.py'
_first = [['ship', 'truck']]
comparison = dict(
    name='Methods (ViT, CIFAR-10)',
    methods=[
        f'methods/{name}.py'
        for name in ('row_reset', 'delete', 'scrub', 'gs_lora', 'gs_lora_pp',
                     'counterfactual', 'counterfactual_deep')
    ],
    settings=dict(single={'forget.requests': _first}, continual={}),
    options={'forget.data.ratio': 1.},
    search=dict(
        options={
            'forget.requests': _first,
            'train_dataloader.dataset.type': 'gslora_mm.HeldOutFolder',
            'train_dataloader.dataset.part': 'train',
            'val_dataloader.dataset.type': 'gslora_mm.HeldOutFolder',
            'val_dataloader.dataset.part': 'held_out',
            'val_dataloader.dataset.data_prefix': 'train',
        }))
