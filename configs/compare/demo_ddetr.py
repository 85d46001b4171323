# What `make demo` ends with, on its detector: GS-LoRA and the counterfactual
# teacher, one request, the settings of their files.
#
#   python tools/compare.py configs/compare/demo_ddetr.py
base = '../gslora/ddetr_shapes_forget.py'
comparison = dict(
    name='GS-LoRA and the counterfactual teacher (Deformable DETR, shapes)',
    methods=['methods/gs_lora.py', 'methods/counterfactual.py'],
    settings=dict(single={'forget.requests': [['star', 'ring', 'heart']]}),
    # All images, as of the other method.
    options={'forget.data.ratio': 1.},
    search=dict(budget=0))
