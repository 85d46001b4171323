# Some methods on COCO-format data, blood cells; data and base model are those
# of ../gslora/ddetr_bccd_forget.py:
#
#   DATA_ROOT=FOLDER python tools/compare.py configs/compare/ddetr_bccd.py
#
# There is no third set of images. The search trains without a fifth of the
# training images and is measured on it; the base model has seen them, as it
# has all training images.
_base_ = '../_base_/comparison.py'
base = '../gslora/ddetr_bccd_forget.py'
_first = [['Platelets']]
comparison = dict(
    name='Methods (Deformable DETR, blood cells)',
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
            'train_dataloader.dataset.type': 'gslora_mm.HeldOutCoco',
            'train_dataloader.dataset.part': 'train',
            'val_dataloader.dataset.type': 'gslora_mm.HeldOutCoco',
            'val_dataloader.dataset.part': 'held_out',
            'val_dataloader.dataset.ann_file': 'annotations/train.json',
            'val_dataloader.dataset.data_prefix.img': 'train/',
        }))
