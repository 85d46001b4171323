import copy
import math
import pickle

import pytest
import torch
from lora_toys import ToyDETR, fill_lora
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gslora_mm.lora import (LoRALinear, inject_lora, lora_disabled,
                            lora_layers, reset_lora)


class Sub(nn.Linear):
    """Overrides forward with a zero-argument super(), as mmcv's Linear."""

    def forward(self, x):
        return super().forward(x)


def make(cls=nn.Linear, rank=3, alpha=6.0, bias=True):
    torch.manual_seed(0)
    layer = LoRALinear.from_linear(cls(5, 7, bias=bias), rank, alpha)
    fill_lora(layer)
    return layer


@pytest.mark.parametrize('cls', [nn.Linear, Sub])
@pytest.mark.parametrize('bias', [True, False])
def test_adopts_parameters(cls, bias):
    linear = cls(5, 7, bias=bias).eval()
    weight, old_bias, keys = linear.weight, linear.bias, set(
        linear.state_dict())
    layer = LoRALinear.from_linear(linear, 2, 4.0)
    assert layer.weight is weight and layer.bias is old_bias
    assert set(layer.state_dict()) == keys | {'lora_A', 'lora_B'}
    assert layer.lora_A.shape == (2, 5) and layer.lora_B.shape == (7, 2)
    assert (layer.rank, layer.alpha, layer.scaling) == (2, 4.0, 2.0)
    assert not layer.training
    # The adopted layer is left as it was, without LoRA of its own.
    assert set(linear.state_dict()) == keys and type(linear) is cls


def test_forward_is_the_closed_form():
    layer, x = make(), torch.randn(4, 2, 5)
    weight = layer.weight + 6.0 / 3 * layer.lora_B @ layer.lora_A
    expected = x @ weight.T + layer.bias
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer.delta_weight(), weight - layer.weight)


@pytest.mark.parametrize('rank, folds', [(2, False), (10, False), (11, True),
                                         (32, True)])
def test_wide_and_narrow_updates_are_the_closed_form(rank, folds):
    torch.manual_seed(0)
    layer = LoRALinear.from_linear(
        nn.Linear(64, 64).requires_grad_(False), rank, 6.)
    fill_lora(layer)
    assert layer.folds is folds
    x = torch.randn(4, 50, 64, requires_grad=True)
    values = x, layer.lora_A, layer.lora_B
    wanted = x @ (layer.weight + layer.delta_weight()).T + layer.bias
    goal = torch.randn_like(wanted)
    gradients = torch.autograd.grad((wanted * goal).sum(), values)
    found = layer(x)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        torch.autograd.grad((found * goal).sum(), values),
        gradients,
        atol=1e-4,
        rtol=1e-4)


def test_a_wide_update_costs_no_more_than_the_weight_itself():
    costs = {}
    for rank in (0, 4, 32):
        layer = nn.Linear(64, 64).requires_grad_(False)
        if rank:
            layer = LoRALinear.from_linear(layer, rank)
        else:
            layer.requires_grad_(True)
        x = torch.randn(10000, 64, requires_grad=True)
        with FlopCounterMode(display=False) as counter:
            layer(x).sum().backward()
        costs[rank] = counter.get_total_flops()
    # Two thin products of rank 32 would take 5/3 of it.
    assert costs[4] < costs[32] < 1.01 * costs[0]


def test_starts_as_the_plain_layer_and_reset_restores_that():
    linear, x = nn.Linear(64, 7), torch.randn(4, 64)
    plain = linear(x)
    layer = LoRALinear.from_linear(linear)
    assert torch.equal(layer(x), plain)
    fill_lora(layer)
    assert not torch.equal(layer(x), plain)
    reset_lora(nn.Sequential(layer))
    assert torch.equal(layer(x), plain)
    assert not layer.lora_B.any()
    bound = 1 / math.sqrt(64)
    assert layer.lora_A.abs().max() <= bound
    assert layer.lora_A.std().item() == pytest.approx(
        bound / math.sqrt(3), rel=0.1)


def test_gradients_reach_lora():
    layer = make()
    layer(torch.randn(4, 5)).square().sum().backward()
    assert layer.lora_A.grad.any() and layer.lora_B.grad.any()


def test_merge_equals_forward_and_is_refused_twice():
    layer, x = make(), torch.randn(4, 5)
    before, weight = layer(x), layer.weight
    layer.merge()
    assert layer.merged and layer.weight is weight
    torch.testing.assert_close(layer(x), before)
    once = layer.weight.clone()
    with pytest.raises(RuntimeError, match='already merged'):
        layer.merge()
    assert torch.equal(layer.weight, once)


def test_eval_does_not_merge():
    layer = make()
    weight = layer.weight.clone()
    layer.eval()
    assert not layer.merged and torch.equal(layer.weight, weight)


def test_merge_of_zero_keeps_every_bit():
    layer = make()
    with torch.no_grad():
        layer.weight[0, 0], layer.weight[1, 1] = -0.0, 0.0
        layer.lora_B.zero_()
    bits = layer.weight.detach().clone().view(torch.int32)
    layer.merge()
    assert torch.equal(layer.weight.detach().view(torch.int32), bits)


def test_reset_after_merge_allows_the_next_request():
    layer, x = make(), torch.randn(4, 5)
    layer.merge()
    merged = layer(x)
    layer.reset_lora()
    torch.testing.assert_close(layer(x), merged)
    fill_lora(layer, seed=1)
    second = layer(x)
    layer.merge()
    torch.testing.assert_close(layer(x), second)


@pytest.mark.parametrize('cls', [nn.Linear, Sub])
def test_to_linear_gives_the_original_class(cls):
    layer, x = make(cls), torch.randn(4, 5)
    layer.merge()
    linear = layer.to_linear()
    assert type(linear) is cls and linear.weight is layer.weight
    assert set(linear.state_dict()) == {'weight', 'bias'}
    assert torch.equal(linear(x), layer(x))
    assert set(linear.__dict__) == set(cls(5, 7).__dict__)


def test_lora_disabled():
    model = ToyDETR()
    x = torch.randn(2, 3, 8)
    plain = model(x)
    inject_lora(model, rank=2)
    fill_lora(model)
    changed = model(x)
    assert not torch.allclose(changed, plain)
    with pytest.raises(KeyError), lora_disabled(model):
        assert torch.equal(model(x), plain)
        raise KeyError
    assert torch.equal(model(x), changed)
    first = next(iter(lora_layers(model).values()))
    first.enabled = False
    with lora_disabled(model):
        pass
    assert not first.enabled


def test_copies():
    layer, x = make(Sub), torch.randn(4, 5)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x), layer(x))
        assert twin.weight is not layer.weight
        assert type(twin.to_linear()) is Sub


def test_hooks_survive():
    linear, calls = nn.Linear(5, 7), []
    linear.register_forward_hook(lambda *args: calls.append(1))
    LoRALinear.from_linear(linear)(torch.randn(1, 5))
    assert calls == [1]


def test_keeps_dtype():
    layer = LoRALinear.from_linear(nn.Linear(5, 7).bfloat16())
    assert layer.lora_A.dtype == layer.lora_B.dtype == torch.bfloat16


def test_trains_on_a_frozen_base():
    linear = nn.Linear(5, 7).requires_grad_(False)
    layer = LoRALinear.from_linear(linear)
    assert layer.lora_A.requires_grad and layer.lora_B.requires_grad
    assert not layer.weight.requires_grad


@pytest.mark.parametrize('rank', [0, -1, 2.5, None])
def test_bad_rank(rank):
    with pytest.raises(ValueError, match='rank'):
        LoRALinear.from_linear(nn.Linear(5, 7), rank)


def test_what_cannot_be_adopted():
    with pytest.raises(TypeError):
        LoRALinear.from_linear(make())
    with pytest.raises(TypeError):
        LoRALinear.from_linear(nn.Conv2d(1, 1, 1))
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(5, 7))
    with pytest.raises(TypeError):
        LoRALinear.from_linear(normed)
    with pytest.raises(TypeError):
        LoRALinear(5, 7)
