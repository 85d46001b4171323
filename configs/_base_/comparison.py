# What comparisons have in common. Of the methods, each has a config of its
# own in ../compare/methods.
comparison = dict(
    methods=[
        f'methods/{name}.py' for name in (
            'output_filter',
            'row_reset',
            'fine_tune',
            'lwf',
            'der',
            'der_pp',
            'ewc',
            'full',
            'lora',
            'gs_lora',
            'gs_lora_pp',
        )
    ],
    seeds=[0, 1, 2],
    # Of every method twelve runs, on the first two requests.
    search=dict(budget=12, seed=100))
