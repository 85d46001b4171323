# What `make demo` ends with, on its classifier: GS-LoRA and the counterfactual
# teacher, one request, the settings of their files.
#
#   python tools/compare.py configs/compare/demo_vit.py
base = '../gslora/vit_shapes_forget.py'
comparison = dict(
    name='GS-LoRA and the counterfactual teacher (ViT, shapes)',
    methods=['methods/gs_lora.py', 'methods/counterfactual.py'],
    settings=dict(single={'forget.requests': [['star', 'ring', 'heart']]}),
    search=dict(budget=0))
