# What comparisons have in common. Of the methods, each has a config of its
# own in ../compare/methods.
comparison = dict(
    methods=[
        f'methods/{name}.py' for name in (
            'output_filter',
            'row_reset',
            'head_distillation',
            'fine_tune',
            'gradient_ascent',
            'neg_grad_plus',
            'random_labels',
            'l2',
            'ewc',
            'mas',
            'lwf',
            'der',
            'der_pp',
            'fdr',
            'scrub',
            'scrub_s',
            'lirf',
            'salun',
            'delete',
            'retrain',
            'full',
            'lora',
            'gs_lora',
            'gs_lora_pp',
            'counterfactual',
            'counterfactual_deep',
        )
    ],
    seeds=[0, 1, 2],
    # Of every method six runs, on the first request.
    search=dict(budget=6, seed=100))
