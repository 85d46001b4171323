import warnings

import pytest
import torch
from lora_toys import ToyAttention, ToyBlock, ToyDETR, ToyFFN, ToySwiGLU
from torch import nn
from torch.nn import functional as F

from gslora_mm.lora import (LoRALinear, LoRATarget, find_targets, freeze_base,
                            inject_lora, lora_layers, target_table)
from gslora_mm.lora.patterns import matches

FFN_NAMES = [
    f'{part}.layers.{i}.ffn.layers.{fc}' for part in ('encoder', 'decoder')
    for i in range(2) for fc in ('0.0', '1')
]


def names(*args, **kwargs):
    return [target.name for target in find_targets(*args, **kwargs)]


def test_ffn_linears_of_every_block_and_no_others():
    targets = find_targets(ToyDETR())
    assert [t.name for t in targets] == FFN_NAMES
    assert targets[1] == LoRATarget('encoder.layers.0.ffn.layers.1',
                                    'encoder.layers.0', 'ffn', 16, 8)


def test_attention_and_both():
    attention = names(ToyDETR(), 'attention')
    assert attention[:2] == [
        'encoder.layers.0.attn.qkv', 'encoder.layers.0.attn.proj'
    ]
    assert len(attention) == 8
    both = names(ToyDETR(), 'both')
    assert set(both) == set(attention) | set(FFN_NAMES)
    assert both[:4] == attention[:2] + FFN_NAMES[:2]
    with pytest.raises(ValueError, match='position'):
        find_targets(ToyDETR(), 'heads')


def test_module_named_after_attention_but_made_of_blocks():

    class MSDeformAttnPixelDecoder(nn.Module):

        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([ToyBlock(), ToyBlock()])

    assert len(names(MSDeformAttnPixelDecoder())) == 4


def test_mlp_inside_attention_is_no_ffn():
    block = ToyBlock()
    block.attn.cpb_mlp = nn.Sequential(nn.Linear(2, 6), nn.Linear(6, 2))
    assert names(block) == ['ffn.layers.0.0', 'ffn.layers.1']


def test_multihead_attention_is_skipped_with_a_warning():
    block = ToyBlock()
    block.self_attn = nn.MultiheadAttention(8, 2)
    with pytest.warns(UserWarning, match='self_attn.out_proj'):
        assert names(block, 'attention') == ['attn.qkv', 'attn.proj']
    block.attn = nn.Identity()
    with pytest.raises(ValueError, match='self_attn.out_proj'):
        find_targets(block, 'attention')
    with pytest.warns(UserWarning, match='self_attn.out_proj'):
        assert len(names(block, 'both')) == 2


def test_weight_read_directly_is_skipped_with_a_warning():

    class DirectAttention(ToyAttention):

        def forward(self, x):
            dtype = self.proj.weight.dtype
            q, k, v = F.linear(x, self.qkv.weight).chunk(3, -1)
            return self.proj((q * k * v).to(dtype))

    block = ToyBlock()
    block.attn = DirectAttention()
    with pytest.warns(UserWarning, match='attn.qkv'):
        assert names(block, 'attention') == ['attn.proj']


def test_ffn_without_a_module_of_its_own():
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2)
    model = nn.ModuleDict(dict(decoder=decoder, head=ToyFFN()))
    assert names(model) == [
        f'decoder.layers.{i}.linear{j}' for i in range(2) for j in (1, 2)
    ]
    # The encoder's fast path reads the weights of linear1 and linear2.
    with pytest.raises(ValueError, match='read directly.*linear1'):
        find_targets(nn.TransformerEncoderLayer(8, 2, 16))


def test_gated_ffn_is_refused_by_name_unless_excluded():
    model = nn.Sequential(ToyBlock(), ToyBlock(ffn=ToySwiGLU()))
    with pytest.raises(ValueError, match=r'1\.ffn is a gated FFN'):
        find_targets(model)
    plain = ['0.ffn.layers.0.0', '0.ffn.layers.1']
    assert names(model, exclude=['1.ffn']) == plain
    assert names(model, include=['0']) == plain
    assert len(names(model, 'attention')) == 4


def test_three_linear_gated_ffn_is_refused():
    ffn = nn.ModuleDict({
        'gate': nn.Linear(8, 16),
        'up': nn.Linear(8, 16),
        'down': nn.Linear(16, 8)
    })
    with pytest.raises(ValueError, match='ffn is a gated FFN'):
        find_targets(ToyBlock(ffn=ffn))


@pytest.mark.parametrize('pattern, name, expected', [
    ('encoder', 'encoder.layers.1.ffn', True),
    ('coder', 'encoder.layers.1.ffn', False),
    ('layers.1', 'encoder.layers.1.ffn', True),
    ('layers.1', 'encoder.layers.10.ffn', False),
    ('layers.1*', 'encoder.layers.10.ffn', True),
    ('encoder.layers.*', 'encoder.layers.10.ffn', True),
    ('encoder.*.ffn', 'encoder.layers.10.ffn', False),
    ('encoder.layers.10.ffn.x', 'encoder.layers.10.ffn', False),
    ('layers.0.ffn', 'encoder.layers.0.ffn.layers.0.0', True),
    ('Encoder', 'encoder.layers', False),
])
def test_pattern(pattern, name, expected):
    assert matches(pattern, name) is expected


def test_include_and_exclude():
    model = ToyDETR()
    assert names(model, include='encoder') == FFN_NAMES[:4]
    assert names(
        model, include=['encoder.layers.1',
                        'decoder.layers.*']) == FFN_NAMES[2:]
    assert names(
        model, include=['decoder'], exclude=['layers.1.ffn']) == FFN_NAMES[4:6]
    assert names(model, include=['ffn.layers.1']) == FFN_NAMES[1::2]


@pytest.mark.parametrize('role', ['include', 'exclude'])
def test_pattern_that_matches_nothing(role):
    with pytest.raises(ValueError, match=f"{role} pattern 'layers.7'"):
        find_targets(ToyDETR(), **{role: ['encoder', 'layers.7']})


def test_nothing_left_lists_the_linears():
    with pytest.raises(ValueError, match=r'box_head\.\* \(x3\)'):
        find_targets(ToyDETR(), include=['encoder'], exclude=['layers'])
    with pytest.raises(ValueError, match='Sequential.*linears are'):
        find_targets(nn.Sequential(nn.Linear(3, 4)))


def test_injection_changes_nothing_but_keys():
    torch.manual_seed(0)
    model, x = ToyDETR(), torch.randn(2, 3, 8)
    before, params = model(x), dict(model.named_parameters())
    targets = inject_lora(model, rank=2, alpha=4.0)
    assert torch.equal(model(x), before)
    layers = lora_layers(model)
    assert list(layers) == [t.name for t in targets] == FFN_NAMES
    assert [m.block for m in layers.values()] == [t.block for t in targets]
    assert all((m.rank, m.scaling) == (2, 2.0) for m in layers.values())
    after = dict(model.named_parameters())
    assert all(after[k] is v for k, v in params.items())
    assert set(after) - set(params) == {
        f'{name}.{m}'
        for name in FFN_NAMES
        for m in ('lora_A', 'lora_B')
    }
    assert find_targets(model) == targets


def test_injection_is_refused_twice():
    model = ToyDETR()
    inject_lora(model)
    with pytest.raises(RuntimeError, match='already'):
        inject_lora(model, position='attention')
    assert len(lora_layers(model)) == 8


def test_failed_injection_leaves_the_model_alone():
    model = ToyDETR()
    with pytest.raises(ValueError):
        inject_lora(model, rank=0)
    assert not lora_layers(model)


def test_shared_block_gets_lora_under_every_parent():
    block = ToyBlock()
    model = nn.Sequential(block, block)
    model.alias = block.ffn.layers[1]
    targets = inject_lora(model)
    assert [t.name for t in targets] == ['0.ffn.layers.0.0', '0.ffn.layers.1']
    assert model.alias is model[1].ffn.layers[1]
    assert isinstance(model.alias, LoRALinear)


def test_freeze_base():
    model = ToyDETR()
    inject_lora(model)
    model.encoder.lora_A_like = nn.Parameter(torch.zeros(1))
    freeze_base(model)
    trainable = [n for n, p in model.named_parameters() if p.requires_grad]
    assert len(trainable) == 16
    assert all(n.endswith(('.lora_A', '.lora_B')) for n in trainable)


def test_table():
    model = ToyDETR()
    base = sum(p.numel() for p in model.parameters())
    targets = inject_lora(model, rank=2)
    freeze_base(model)
    lines = target_table(model, targets).splitlines()
    assert lines[2].split() == [
        'encoder.layers.0', 'ffn.layers.0.0', '8', '->', '16', '2', '48'
    ]
    assert len(lines) == 2 + 8 + 3
    assert lines[-3] == 'trainable: 384 parameters'
    assert lines[-2].startswith(f'total: {base:,} parameters')
    assert lines[-1] == f'ratio: {100 * 384 / base:.2f} %'


def deformable_detr():
    pytest.importorskip('mmcv.ops')
    mmdet = pytest.importorskip('mmdet.models')
    from mmengine.registry import DefaultScope
    layer = dict(
        self_attn_cfg=dict(embed_dims=16, num_heads=2, num_levels=1),
        ffn_cfg=dict(embed_dims=16, feedforward_channels=32))
    cross = dict(
        self_attn_cfg=dict(embed_dims=16, num_heads=2),
        cross_attn_cfg=dict(embed_dims=16, num_heads=2, num_levels=1),
        ffn_cfg=dict(embed_dims=16, feedforward_channels=32))
    with DefaultScope.overwrite_default_scope('mmdet'):
        return mmdet.DeformableDETR(
            num_queries=5,
            num_feature_levels=1,
            with_box_refine=True,
            backbone=dict(
                type='ResNet', depth=18, base_channels=8, out_indices=(3, )),
            neck=dict(
                type='ChannelMapper',
                in_channels=[64],
                kernel_size=1,
                out_channels=16,
                act_cfg=None,
                norm_cfg=dict(type='GN', num_groups=4),
                num_outs=1),
            encoder=dict(num_layers=2, layer_cfg=layer),
            decoder=dict(num_layers=2, layer_cfg=cross, post_norm_cfg=None),
            positional_encoding=dict(num_feats=8, normalize=True),
            bbox_head=dict(
                type='DeformableDETRHead',
                num_classes=3,
                embed_dims=16,
                loss_cls=dict(type='FocalLoss', use_sigmoid=True)))


@pytest.mark.filterwarnings('ignore')
def test_mmdet_deformable_detr():
    model = deformable_detr()
    base = model.state_dict(keep_vars=True)
    assert names(model) == FFN_NAMES
    inject_lora(model)
    state = model.state_dict(keep_vars=True)
    assert set(state) == set(base) | {
        f'{name}.{m}'
        for name in FFN_NAMES
        for m in ('lora_A', 'lora_B')
    }
    assert all(state[k] is base[k] for k in base)


@pytest.mark.filterwarnings('ignore')
def test_mmdet_deformable_detr_attention():
    model = deformable_detr()
    with pytest.warns(UserWarning, match=r'self_attn\.attn\.out_proj \(x2\)'):
        found = names(model, 'attention')
    assert len(found) == 4 * 4
    assert 'encoder.layers.0.self_attn.value_proj' in found


@pytest.mark.filterwarnings('ignore')
def test_mmpretrain_vision_transformer():
    backbones = pytest.importorskip('mmpretrain.models.backbones')
    model = backbones.VisionTransformer(
        arch=dict(
            embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=32,
        patch_size=16)
    model.eval()
    image = torch.randn(1, 3, 32, 32)
    before = model(image)[0]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        found = [t.name for t in inject_lora(model)]
    assert found == [
        f'layers.{i}.ffn.layers.{fc}' for i in range(2) for fc in ('0.0', '1')
    ]
    assert torch.equal(model(image)[0], before)
