"""Blocks found in mmpretrain's backbones, against their architectures."""
import warnings
from functools import partial
from unittest import mock

import pytest
import torch
from lora_toys import ToyAttention, ToyBlock, ToyFFN
from torch import nn

from gslora_mm.lora import find_targets, inject_lora, lora_layers, target_table
from gslora_mm.lora.blocks import find_blocks, find_strays

backbones = pytest.importorskip('mmpretrain.models.backbones')
pytestmark = pytest.mark.filterwarnings('ignore')

SMALL_XCIT = dict(
    img_size=32,
    patch_size=16,
    embed_dims=32,
    depth=3,
    cls_attn_layers=2,
    num_heads=2,
    mlp_ratio=2,
    qkv_bias=True,
    layer_scale_init_value=1.)
# Blocks as in the paper or the depths of the architecture.
EXPECTED = [
    ('VisionTransformer', dict(arch='deit-tiny'), 12),
    ('VisionTransformer', dict(arch='dinov2-giant'), 40),
    ('DistilledVisionTransformer', dict(arch='deit-tiny'), 12),
    ('DeiT3', dict(arch='small'), 12),
    ('BEiTViT', dict(arch='base'), 12),
    ('RevVisionTransformer', dict(arch='deit-tiny'), 12),
    ('ViTSAM', dict(arch='base'), 12),
    ('ViTEVA02', dict(arch='tiny'), 12),
    ('SwinTransformer', dict(arch='tiny'), 2 + 2 + 6 + 2),
    ('SwinTransformerV2', dict(arch='tiny'), 2 + 2 + 6 + 2),
    ('MixMIMTransformer', dict(arch='base'), 2 + 2 + 18 + 2),
    ('XCiT', SMALL_XCIT, 3 + 2),
    # With each of the two subsampling layers comes an MLP.
    ('LeViT', dict(arch='128s'), 2 + 3 + 4 + 2),
    # Two in the tokens-to-token part.
    ('T2T_ViT', dict(num_layers=3), 2 + 3),
    ('TNT', dict(arch='small'), 2 * 12),
    ('PCPVT', dict(arch='small'), 3 + 4 + 6 + 3),
    ('SVT', dict(arch='small'), 2 + 2 + 10 + 4),
    ('MViT', dict(arch='tiny'), 10),
    ('EfficientFormer', dict(arch='l1'), 1),
    ('MobileViT', dict(arch='xx_small'), 2 + 4 + 3),
    # One of windows, one of channels.
    ('DaViT', dict(arch='tiny'), 2 * (1 + 1 + 3 + 1)),
    ('TinyViT', dict(arch='5m'), 2 + 6 + 2),
    ('Conformer', dict(arch='tiny'), 12),
]
# Backbones that also have FFNs without attention, and how many.
PARTLY = [
    ('EdgeNeXt', dict(arch='xxsmall'), 3, 2 + 1 + 5 + 1),
    ('HiViT', dict(arch='tiny'), 10, 2 + 2),
]


def build(kind, options):
    # Without memory and initialisation, but for the rates of drop path, which
    # are read.
    linspace = partial(torch.linspace, device='cpu')
    with torch.device('meta'), mock.patch('torch.linspace', linspace):
        return getattr(backbones, kind)(**options)


@pytest.mark.parametrize(
    'kind, options, count',
    EXPECTED,
    ids=[f'{k}-{o.get("arch")}' for k, o, _ in EXPECTED])
def test_every_block_is_found(kind, options, count):
    model = build(kind, options)
    blocks = find_blocks(model)
    assert len({name for name, *_ in blocks}) == len(blocks) == count
    assert all(len(b[1]) == len(b[2]) == 1 for b in blocks)
    assert not find_strays(model)


@pytest.mark.parametrize('kind, options, count, strays', PARTLY)
def test_what_gets_no_lora_is_told(kind, options, count, strays):
    model = build(kind, options)
    assert len(find_blocks(model)) == count
    assert len(find_strays(model)) == 2 * strays
    with pytest.warns(UserWarning, match=rf'lies outside: .*\(x{strays}\)'):
        targets = find_targets(model)
    assert len(targets) == 2 * count


@pytest.mark.parametrize('kind, options', [
    ('MlpMixer', dict(arch='s')),
    ('ConvNeXt', dict(arch='tiny')),
    ('PoolFormer', dict(arch='s12')),
    ('LeViT', dict(arch='128s', mlp_ratio=0)),
])
def test_no_transformer_block_is_an_error(kind, options):
    with pytest.raises(ValueError, match='no ffn linear of a Transformer'):
        find_targets(build(kind, options))


def test_gated_ffn_is_an_error():
    with pytest.raises(ValueError, match='gated FFN'):
        find_targets(build('ViTEVA02', dict(arch='tiny')))


def levit():
    return backbones.LeViT('128s', img_size=64)


@pytest.mark.parametrize('build_model, size, count', [
    (levit, 64, 2 + 3 + 4 + 2),
    (lambda: backbones.XCiT(**SMALL_XCIT), 32, 3 + 2),
])
def test_lora_trains_in_every_block(build_model, size, count):
    torch.manual_seed(0)
    model = build_model()
    model.eval()
    image = torch.randn(2, 3, size, size)
    before = model(image)[-1].detach()
    inject_lora(model, rank=2)
    after = model(image)[-1]
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    after.square().sum().backward()
    layers = lora_layers(model).values()
    assert len({layer.block for layer in layers}) == count
    assert all(layer.lora_B.grad.any() for layer in layers)


def test_levit_blocks_by_name():
    model = levit()
    targets = inject_lora(model, position='both')
    blocks = list(dict.fromkeys(t.block for t in targets))
    assert blocks[:3] == ['stages.0.0-1', 'stages.0.2-3', 'stages.1.0-1']
    first = [t.name for t in targets if t.block == blocks[0]]
    assert first == [
        f'stages.0.{name}.linear'
        for name in ('0.block.qkv', '0.block.proj.1', '1.block.linear1',
                     '1.block.linear2')
    ]
    assert f'{blocks[0]}  {first[0]}' in target_table(model, targets)


def test_row_of_blocks_in_a_container():
    row = [
        ToyFFN(),
        ToyAttention(),
        ToyAttention(),
        nn.LayerNorm(8),
        ToyFFN(),
        ToyAttention(),
        ToyFFN(),
        ToyFFN(),
        ToyAttention()
    ]
    for container in (nn.Sequential(*row), nn.ModuleList(row)):
        found = {
            name: ([a for a, _ in attentions], [f.name for f in ffns])
            for name, attentions, ffns in find_blocks(container)
        }
        assert found == {
            '1-4': (['1', '2'], ['4']),
            '5-7': (['5'], ['6', '7'])
        }
        assert find_strays(container) == ['8', '0.layers.0.0', '0.layers.1']
    # A single one is the container itself.
    alone = nn.ModuleDict(dict(layer=nn.Sequential(*row[1:6])))
    assert [name for name, *_ in find_blocks(alone)] == ['layer']


class Mystery(ToyAttention):
    """An attention whose class is called something else."""


def test_attention_known_by_its_attribute():
    block = ToyBlock()
    block.attn = Mystery()
    assert [name for name, *_ in find_blocks(block)] == ['']
    block.attn = nn.LayerNorm(8)
    assert not find_blocks(block)


@pytest.mark.parametrize('hidden, names', [(16, 2), (8, 0), (4, 0)])
def test_unknown_attention_leaves_strays(hidden, names):
    block = nn.ModuleDict(dict(mixer=Mystery(), ffn=ToyFFN(8, hidden)))
    model = nn.Sequential(ToyBlock(), block)
    assert len(find_strays(model)) == names
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        assert len(find_targets(model)) == 2
        # Who says what is wanted is not told what else there is.
        find_targets(model, include=['0'])
    assert len(caught) == bool(names)
