# What comes back of forgotten classes, small photographs in folders; run
# ./vit_cifar10.py first.
#
#   DATA_ROOT=FOLDER python tools/recover.py \
#       configs/compare/recover_vit_cifar10.py
_base_ = '../_base_/recovery.py'
comparison = './vit_cifar10.py'
recovery = dict(
    name='Recovery (ViT, CIFAR-10)',
    methods=[
        'gs_lora', 'gs_lora_pp', 'row_reset', 'delete', 'scrub',
        'counterfactual', 'counterfactual_deep'
    ],
    reference=dict(config='../pretrain/vit_cifar10.py', as_long=True),
    steps=[0, 5, 10, 20, 50, 100, 200])
