# Every method on the detector of the demo:
#
#   python tools/compare.py configs/compare/ddetr_shapes.py
_base_ = '../_base_/comparison.py'
base = '../gslora/ddetr_shapes_forget.py'
comparison = dict(
    name='Methods (Deformable DETR, shapes)',
    methods=_base_.comparison.methods +
    ['methods/counterfactual_deep_no-retain.py'],
    # Two of the four requests of the demo, for the time that all methods take
    # together; two methods go on with the others.
    settings=dict(
        single={'forget.requests': [['star', 'ring', 'heart']]},
        continual={
            'forget.requests': [['star', 'ring', 'heart'],
                                ['square', 'arrow', 'ellipse']]
        },
        demo={}),
    only=dict(demo=['counterfactual_deep', 'counterfactual_deep_no-retain']),
    options={'forget.data.ratio': 1.},
    search=dict(
        # Other images of the same generator.
        options={
            'forget.requests': [['star', 'ring', 'heart']],
            'val_dataloader.dataset.data_root': 'data/shapes_search/',
            'val_dataloader.dataset.recipe': dict(seed=1, num_train=0),
            'val_evaluator.ann_file': 'data/shapes_search/annotations/val.json'
        }))
