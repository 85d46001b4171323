# What the weights of the counterfactual teacher trade: what stays against what
# comes back, on images that are not those of the evaluation. By these the
# defaults were chosen.
#
#   python tools/compare.py configs/compare/weights_ddetr_shapes.py
base = '../gslora/ddetr_shapes_forget.py'
comparison = dict(
    name='Counterfactual teacher, weights (Deformable DETR, shapes, images '
    'for choosing)',
    methods=['methods/counterfactual.py', 'methods/counterfactual_deep.py'],
    settings={
        'defaults': {},
        **{
            f'queries-{queries}-mahalanobis-{mahalanobis:g}-most-{most}': {
                'forget.method.queries': queries,
                'forget.method.mahalanobis': mahalanobis,
                'forget.method.most': most
            }
            for queries, mahalanobis, most in [
                (1., 0., None),
                (4., .1, None),
                (9., .1, None),
                (9., .5, None),
            ]
        }
    },
    options={
        'forget.data.ratio': 1.,
        'forget.requests': [['star', 'ring', 'heart']],
        # Other images of the same generator.
        'val_dataloader.dataset.data_root': 'data/shapes_search/',
        'val_dataloader.dataset.recipe': dict(seed=1, num_train=0),
        'val_evaluator.ann_file': 'data/shapes_search/annotations/val.json'
    },
    seeds=[100])
