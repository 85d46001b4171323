"""Layers whose update is exactly zero stay so and are not computed."""
import pytest
import torch
from lora_toys import ToyDETR, fill_lora

from gslora_mm.lora import LoRAGroups, inject_lora, lora_layers, reset_lora


@pytest.fixture
def parts():
    """A model, its groups and a batch; the encoder's updates are zero."""
    torch.manual_seed(0)
    model = ToyDETR()
    model.requires_grad_(False)
    inject_lora(model, rank=2, alpha=6.0)
    fill_lora(model)
    for name, layer in lora_layers(model).items():
        if name.startswith('encoder'):
            layer.lora_A.data.zero_()
            layer.lora_B.data.zero_()
    return model, LoRAGroups(model), torch.randn(3, 5, 8)


def _loss(model, x):
    return model(x).square().mean()


def _gradients(model):
    return {n: p.grad for n, p in model.named_parameters() if 'lora' in n}


def test_the_gradient_of_a_zero_update_is_zero(parts):
    """What allows to leave it out."""
    model, _, x = parts
    _loss(model, x).backward()
    for name, grad in _gradients(model).items():
        assert bool(grad.any()) == name.startswith('decoder'), name


def test_settled_layers_change_nothing_else(parts):
    model, groups, x = parts
    expected = model(x)
    _loss(model, x).backward()
    before = _gradients(model)
    model.zero_grad()
    groups.settle_zero_layers()
    assert torch.equal(model(x), expected)
    _loss(model, x).backward()
    for name, grad in _gradients(model).items():
        if name.startswith('encoder'):
            assert grad is None
        else:
            torch.testing.assert_close(grad, before[name], rtol=1e-6, atol=0)


def test_backward_ends_at_the_first_layer_that_learns(parts):
    model, groups, x = parts
    seen = []
    model.encoder.register_forward_hook(
        lambda *args: seen.append(args[-1].requires_grad))
    model(x)
    groups.settle_zero_layers()
    model(x)
    assert seen == [True, False]


@pytest.mark.parametrize('detach', [True, False])
def test_momentum_cannot_wake_them(parts, detach):
    model, groups, x = parts
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad],
        lr=.1,
        weight_decay=0.)
    for group in optimizer.param_groups:
        for param in group['params']:
            # As if they had moved until a moment ago.
            optimizer.state[param] = dict(
                step=torch.tensor(3.),
                exp_avg=torch.ones_like(param),
                exp_avg_sq=torch.ones_like(param))
    groups.settle_zero_layers(detach)
    for _ in range(3):
        optimizer.zero_grad()
        _loss(model, x).backward()
        optimizer.step()
        groups.soft_threshold_(1e-3)
        assert groups.zero_mask().tolist() == [True, True, False, False]


def test_half_a_zero_layer_still_learns(parts):
    """With one matrix zero, the gradient of that one is not."""
    model, groups, x = parts
    layer = lora_layers(model)['encoder.layers.1.ffn.layers.1']
    torch.nn.init.ones_(layer.lora_A)
    groups.settle_zero_layers()
    assert not layer.settled
    _loss(model, x).backward()
    assert layer.lora_B.grad.any()


def test_something_must_be_left_to_learn(parts):
    model, groups, x = parts
    groups.soft_threshold_(1e6)
    groups.settle_zero_layers()
    assert not any(layer.settled for layer in lora_layers(model).values())
    _loss(model, x).backward()


def test_a_new_update_learns_again(parts):
    model, groups, x = parts
    groups.settle_zero_layers()
    reset_lora(model)
    _loss(model, x).backward()
    assert all(layer.lora_B.grad.any()
               for layer in lora_layers(model).values())
