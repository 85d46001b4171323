"""A converted Face Transformer gives the logits of the published one."""
import copy
from pathlib import Path

import pytest
import torch
from face_reference import ReferenceFace, random_images, randomise
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

import gslora_mm.models.cosface_head  # noqa: F401
from gslora_mm.converters import convert, detect_format

CONFIG = Path(__file__).parents[2] / 'configs/_base_/facevit_p8s8.py'


def build(**arch):
    """The model of the config, of another size if asked."""
    cfg = Config.fromfile(CONFIG).model
    if arch:
        cfg.backbone.arch = dict(arch)
        cfg.backbone.img_size = 32
        cfg.head.update(num_classes=9, in_channels=arch['embed_dims'])
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(copy.deepcopy(cfg)).eval()


def small_reference(gain=1.0):
    return randomise(
        ReferenceFace(
            image=32, width=128, depth=2, heads=2, hidden=96, classes=9),
        gain=gain)


def small_model():
    return build(
        embed_dims=128, num_layers=2, num_heads=2, feedforward_channels=96)


@torch.no_grad()
def difference(reference, model, size=32):
    images = random_images(3, size)
    expected = reference(images)
    assert expected.std() > 0.5
    return (model(images) - expected).abs().max()


def test_published_model():
    reference = randomise(ReferenceFace())
    state = reference.state_dict()
    assert detect_format(state) == 'face-transformer'
    # The published count, which includes the CosFace rows.
    assert sum(v.numel() for v in state.values()) == 19_157_504
    new, notes = convert(state)
    model = build()
    model.load_state_dict(new)
    assert len(new) == len(state)
    assert difference(reference, model, 112) < 1e-4
    assert notes == [
        'num_layers=6, embed_dims=512, feedforward_channels=2048, '
        'patch_size=8, 196 patches, num_classes=100, LayerNorm eps=1e-05, '
        'num_heads=8, qkv_bias=False'
    ]


@torch.no_grad()
def test_images_embeddings_and_loss():
    """From bytes in BGR on, with the margin at the label."""
    reference, model = small_reference(), small_model()
    model.load_state_dict(convert(reference.state_dict())[0])
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    labels = torch.tensor([4, 0, 8])
    samples = [DataSample().set_gt_label(int(i)) for i in labels]
    data = model.data_preprocessor(
        dict(inputs=list(images), data_samples=samples))
    rgb = images.flip(1) / 255
    embedding = model.extract_feat(data['inputs'], stage='pre_logits')
    torch.testing.assert_close(
        embedding, reference.embed(rgb), rtol=0, atol=1e-4)
    expected = torch.nn.functional.cross_entropy(
        reference(rgb, labels), labels)
    loss = model.loss(data['inputs'], data['data_samples'])['loss']
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)


def test_attention_scale_and_patch_order_matter():
    """Renaming alone gives other logits, so the tests above see both."""
    reference, model = small_reference(), small_model()
    new, _ = convert(reference.state_dict())
    state = reference.state_dict()
    model.load_state_dict(new)
    assert difference(reference, model) < 1e-4
    plain = dict(new)
    plain['backbone.layers.0.attn.qkv.weight'] = state[
        'transformer.layers.0.0.fn.fn.to_qkv.weight']
    model.load_state_dict(plain)
    assert difference(reference, model) > 0.1
    plain = dict(new)
    key = 'backbone.patch_embed.projection.weight'
    plain[key] = state['patch_to_embedding.weight'].reshape(new[key].shape)
    model.load_state_dict(plain)
    assert difference(reference, model) > 0.1


def test_layer_norm_eps_is_that_of_the_original():
    """With tokens of 1e-3 a wrong eps shifts the logits."""
    reference, model = small_reference(gain=1e-3), small_model()
    with torch.no_grad():
        for attention, feed_forward in reference.transformer.layers:
            for module in (attention.fn.fn, feed_forward.fn.fn):
                for p in module.parameters():
                    p.mul_(1e-2)
    model.load_state_dict(convert(reference.state_dict())[0])
    assert difference(reference, model) < 1e-4
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-6
    assert difference(reference, model) > 1e-2


def test_dropout_as_published():
    """After the embedding, attention's output and both FFN linears."""
    rates = [
        m.p for m in small_model().modules()
        if isinstance(m, torch.nn.Dropout) and m.p
    ]
    reference = [
        m.p for m in small_reference().modules()
        if isinstance(m, torch.nn.Dropout)
    ]
    assert rates == reference == [0.1] * 7


def test_stray_lora_is_dropped():
    reference = small_reference()
    state = reference.state_dict()
    expected, _ = convert(state)
    name = 'transformer.layers.{}.1.fn.fn.net.{}.lora_{}'
    for i in range(2):
        state[name.format(i, 0, 'A')] = torch.ones(8, 128)
        state[name.format(i, 0, 'B')] = torch.ones(96, 8)
    new, notes = convert(state)
    assert new.keys() == expected.keys()
    assert all(torch.equal(new[k], expected[k]) for k in new)
    assert notes[0].startswith('4 LoRA tensors dropped (transformer.layers.0')


def test_rows_of_the_head():
    state = small_reference().state_dict()
    new, _ = convert(state, rows=range(2, 5))
    assert torch.equal(new['head.weight'], state['loss.weight'][2:5])


def test_half_precision_stays():
    state = {k: v.half() for k, v in small_reference().state_dict().items()}
    new, _ = convert(state)
    assert {v.dtype for v in new.values()} == {torch.float16}


def test_nothing_is_shared_with_the_original():
    state = small_reference().state_dict()
    before = {k: v.clone() for k, v in state.items()}
    new, _ = convert(state)
    for value in new.values():
        assert value.untyped_storage().nbytes() == value.nbytes
        value.zero_()
    assert all(torch.equal(state[k], before[k]) for k in state)


@pytest.mark.parametrize('name', ['module.', ''])
def test_data_parallel_prefix(name):
    state = small_reference().state_dict()
    new, _ = convert({name + k: v for k, v in state.items()})
    assert new.keys() == convert(state)[0].keys()
