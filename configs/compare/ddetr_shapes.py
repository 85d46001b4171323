# Every method on the detector of the demo:
#
#   python tools/compare.py configs/compare/ddetr_shapes.py
_base_ = '../_base_/comparison.py'
base = '../gslora/ddetr_shapes_forget.py'
comparison = dict(
    # It paints boxes, which images of a classifier have none of.
    methods=[*_base_.comparison.methods, 'methods/counterfactual.py'],
    name='Methods (Deformable DETR, shapes)',
    settings=dict(
        single={'forget.requests': [['star', 'ring', 'heart']]}, continual={}),
    search=dict(
        # Other images of the same generator.
        options={
            'forget.requests': [['star', 'ring', 'heart']],
            'val_dataloader.dataset.data_root': 'data/shapes_search/',
            'val_dataloader.dataset.recipe': dict(seed=1, num_train=0),
            'val_evaluator.ann_file': 'data/shapes_search/annotations/val.json'
        }))
