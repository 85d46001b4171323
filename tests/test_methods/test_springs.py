"""Importances against formulas and torch.func, springs against their sum."""
import pytest
import torch
from method_toys import Line, context_of, streams, total
from torch import nn
from torch.func import functional_call, grad, vmap

from gslora_mm.lora import NoGroups
from gslora_mm.methods import EWC, L2, MAS
from gslora_mm.models import StreamOutputs
from gslora_mm.utils import ForgetError


def fisher_by_hand(model, inputs, targets):
    error = inputs @ model.weight.detach() - targets
    return dict(
        weight=(2 * error[:, None] * inputs).square().mean(0),
        bias=(2 * error).square().mean()[None])


def test_fisher_is_of_each_image():
    torch.manual_seed(0)
    inputs, targets = torch.randn(6, 2), torch.randn(6)
    model = Line([1., -2.])
    stored = EWC().prepare(context_of(model, inputs, targets))
    expected = fisher_by_hand(model, inputs, targets)
    for name in ('weight', 'bias'):
        torch.testing.assert_close(stored[f'importance.{name}'],
                                   expected[name])
        assert torch.equal(stored[f'centre.{name}'], getattr(model, name))
    assert not any('frozen' in key for key in stored)
    # The gradient of the mean, squared, is something else.
    model.plain_loss(inputs, targets).backward()
    assert not torch.allclose(
        stored['importance.weight'], model.weight.grad.square(), rtol=.1)


class Queries(nn.Module):
    """Outputs of two queries, not linear in the weights."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 3))

    def forward(self, inputs):
        return (inputs @ self.weight.T).tanh().unflatten(1, (2, 3))

    def outputs(self, inputs, samples):
        found = self(inputs)
        return StreamOutputs(found, found)


def test_mas_is_of_each_image_and_knows_no_label():
    torch.manual_seed(0)
    model, inputs = Queries(), torch.randn(5, 3)
    stored = MAS().prepare(context_of(model, inputs, torch.zeros(5)))

    def size(params, image):
        found = functional_call(model, params, (image[None], ))
        return sum(found[0, q].dot(found[0, q]) for q in range(2)) / 2

    params = dict(weight=model.weight.detach())
    each = vmap(grad(size), (None, 0))(params, inputs)['weight']
    torch.testing.assert_close(stored['importance.weight'], each.abs().mean(0))
    assert not torch.allclose(
        stored['importance.weight'], each.mean(0).abs(), rtol=.1)
    assert torch.equal(stored['centre.weight'], model.weight)


@pytest.mark.parametrize('kind', [EWC, L2])
def test_springs_of_two_requests_pull_as_one(kind):
    torch.manual_seed(0)
    first, second = Line([1., -2.]), Line([.5, 3.])
    data = [(torch.randn(6, 2), torch.randn(6)) for _ in range(2)]
    method = kind(penalty=3., retain=0.)
    stored = method.prepare(context_of(first, *data[0]))
    stored = method.prepare(context_of(second, *data[1], stored))
    model = Line([.3, .7])
    method.begin(model, stored)
    total(method.losses(None, None, NoGroups())).backward()
    expected = 0
    for at, of in zip((first, second), data):
        weight = fisher_by_hand(at, *of)['weight'] if kind is EWC else 1
        expected += 2 * 3. * weight * (model.weight - at.weight).detach()
    torch.testing.assert_close(model.weight.grad, expected)
    if kind is L2:
        # One number for a parameter, and one for the whole tensor.
        assert stored['importance.weight'] == torch.tensor(2.)


@pytest.mark.parametrize('kind', [EWC, L2, MAS])
def test_springs_add_to_wrong_labels(kind):
    method, model = kind(retain=2.), Line([1., -2.])
    method.begin(
        model, {
            f'{key}.{name}': torch.ones_like(p)
            for key in ('importance', 'centre')
            for name, p in model.named_parameters()
        })
    forget, retain = streams()
    found = method.losses(forget, retain, NoGroups())
    # (1 - 1)^2 + (-2 - 1)^2, and a bias of 0.
    assert total(found).item() == pytest.approx(3.5 + 2 * 2.25 +
                                                method.penalty * 10)
    assert kind.relabels and kind.needs_prepare


@pytest.mark.parametrize('kind', [EWC, L2, MAS])
def test_importance_of_lora_is_refused(kind):
    with pytest.raises(
            ForgetError, match=f"{kind.__name__}.*forget.train='all'"):
        kind().check_groups(['group'])
    with pytest.raises(ForgetError, match=kind.__name__):
        kind(penalty=-2.)
