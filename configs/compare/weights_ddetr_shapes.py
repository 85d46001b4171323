# What the weights of the counterfactual teacher trade: what stays against what
# comes back, on images that are not those of the evaluation. For choosing
# weights; with LoRA by another base.
#
#   python tools/compare.py configs/compare/weights_ddetr_shapes.py
base = '../gslora/ddetr_shapes_counterfactual_deep.py'
comparison = dict(
    name='Counterfactual teacher, deep, weights (Deformable DETR, shapes, '
    'images for choosing)',
    methods=['methods/as_configured.py'],
    settings={
        'defaults': {},
        **{
            f'queries-{queries}-mahalanobis-{mahalanobis}-most-{most}': {
                'forget.method.queries': queries,
                'forget.method.mahalanobis': mahalanobis,
                'forget.method.most': most
            }
            for queries, mahalanobis, most in [
                (1., 0., None),
                (5., .1, None),
                (9., .5, None),
                (4., .1, 1.),
            ]
        }
    },
    options={
        'forget.requests': [['star', 'ring', 'heart']],
        # Other images of the same generator.
        'val_dataloader.dataset.data_root': 'data/shapes_search/',
        'val_dataloader.dataset.recipe': dict(seed=1, num_train=0),
        'val_evaluator.ann_file': 'data/shapes_search/annotations/val.json'
    },
    seeds=[100])
