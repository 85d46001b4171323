"""Converted torchvision ViTs give torchvision's logits."""
import pytest
import torch
from face_reference import random_images, randomise
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torchvision.models import VisionTransformer, vit_b_16

from gslora_mm.converters import convert, detect_format


def classifier(arch, img_size, patch_size, num_classes, width):
    """A plain mmpretrain ViT."""
    cfg = dict(
        type='ImageClassifier',
        backbone=dict(
            type='VisionTransformer',
            arch=arch,
            img_size=img_size,
            patch_size=patch_size),
        head=dict(
            type='VisionTransformerClsHead',
            num_classes=num_classes,
            in_channels=width))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(cfg).eval()


def small():
    """A torchvision ViT of another depth, width and patch."""
    return randomise(
        VisionTransformer(
            image_size=32,
            patch_size=8,
            num_layers=3,
            num_heads=2,
            hidden_dim=48,
            mlp_dim=80,
            num_classes=7))


def small_classifier(num_classes=7):
    return classifier(
        dict(
            embed_dims=48, num_layers=3, num_heads=2, feedforward_channels=80),
        32, 8, num_classes, 48)


@torch.no_grad()
def assert_same_logits(original, model, images, tolerance=1e-4):
    expected = original(images)
    assert expected.std() > 0.1
    torch.testing.assert_close(model(images), expected, rtol=0, atol=tolerance)


def test_vit_b_16_logits():
    original = randomise(vit_b_16(weights=None))
    state = original.state_dict()
    new, notes = convert(state)
    assert detect_format(state) == 'torchvision-vit'
    assert len(new) == len(state) == 152
    assert 'num_layers=12, embed_dims=768' in notes[0]
    model = classifier('b', 224, 16, 1000, 768)
    model.load_state_dict(new)
    assert_same_logits(original, model, random_images(1, 224))


def test_other_depth_width_and_patch():
    original, model = small(), small_classifier()
    new, notes = convert(original.state_dict())
    model.load_state_dict(new)
    assert_same_logits(original, model, random_images(4, 32))
    assert notes == [
        'num_layers=3, embed_dims=48, feedforward_channels=80, patch_size=8, '
        '16 patches, num_classes=7, LayerNorm eps=1e-06'
    ]


def test_layer_norm_eps_is_that_of_torchvision():
    """With tokens of 1e-3 a wrong eps shifts the logits."""
    original, model = small(), small_classifier()
    randomise(original, gain=1e-3)
    for layer in original.encoder.layers:
        for p in (*layer.self_attention.parameters(), *layer.mlp.parameters()):
            p.data.mul_(1e-3)
    model.load_state_dict(convert(original.state_dict())[0])
    images = random_images(4, 32)
    assert_same_logits(original, model, images)
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-5
    with pytest.raises(AssertionError):
        assert_same_logits(original, model, images)


@torch.no_grad()
def test_rows_of_the_head_in_the_order_given():
    original, model = small(), small_classifier(3)
    new, notes = convert(original.state_dict(), rows=[5, 0, 2])
    model.load_state_dict(new)
    images = random_images(2, 32)
    torch.testing.assert_close(
        model(images), original(images)[:, [5, 0, 2]], rtol=0, atol=1e-5)
    assert notes[-1] == '3 of 7 head rows kept'


def test_ffn_keys_of_the_released_files():
    """They predate MLPBlock version 2; torchvision renames them too."""
    state = small().state_dict()
    old = {}
    for key, value in state.items():
        key = key.replace('mlp.0.', 'mlp.linear_1.')
        old[key.replace('mlp.3.', 'mlp.linear_2.')] = value
    small().load_state_dict(dict(old))
    assert sum('linear_' in k for k in old) == 12
    new, notes = convert(old)
    expected, _ = convert(state)
    assert new.keys() == expected.keys()
    assert all(torch.equal(new[k], expected[k]) for k in new)
    assert 'before 0.13' in notes[0]
