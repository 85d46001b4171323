"""Objectives of the baselines on small tensors, against formulas."""
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Categorical, kl_divergence

from gslora_mm.lora import NoGroups
from gslora_mm.methods import (DER, EWC, FineTune, GSLoRA, LwF, distillation,
                               other_labels, square_distance)
from gslora_mm.models import StreamLoss, StreamOutputs
from gslora_mm.utils import ForgetError

SHAPES = dict(classifier=(5, 7), detector=(3, 4, 7))


def outputs(shape, seed, sigmoid=False):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(*shape, generator=generator)
    return StreamOutputs(logits.requires_grad_(), logits, sigmoid=sigmoid)


def total(losses):
    return sum(v for k, v in losses.items() if 'loss' in k)


def leaf(value):
    return torch.tensor(float(value), requires_grad=True)


@pytest.mark.parametrize('kind', SHAPES)
@pytest.mark.parametrize('temperature', [1., 2., 5.])
def test_distillation_is_over_the_classes(kind, temperature):
    student, teacher = (outputs(SHAPES[kind], seed) for seed in (1, 2))
    expected = temperature**2 * kl_divergence(
        Categorical(logits=teacher.logits / temperature),
        Categorical(logits=student.logits / temperature)).mean()
    found = distillation(student, teacher, temperature)
    torch.testing.assert_close(found, expected)
    assert found > 0.1
    assert distillation(student, student).abs() < 1e-6


def test_distillation_of_sigmoids_is_of_each_class():
    student, teacher = (
        outputs(SHAPES['detector'], seed, sigmoid=True) for seed in (1, 2))
    expected = 4 * kl_divergence(
        Bernoulli(logits=teacher.logits / 2),
        Bernoulli(logits=student.logits / 2)).sum(-1).mean()
    found = distillation(student, teacher, 2.)
    torch.testing.assert_close(found, expected)
    found.backward()
    # d/ds T^2 KL = T (sigmoid(s / T) - sigmoid(t / T)), by image and query.
    gap = (student.logits / 2).sigmoid() - (teacher.logits / 2).sigmoid()
    torch.testing.assert_close(student.logits.grad, 2 * gap.detach() / 12)


@pytest.mark.parametrize('kind', SHAPES)
def test_square_distance(kind):
    student, teacher = (outputs(SHAPES[kind], seed) for seed in (1, 2))
    rows = zip(
        student.logits.reshape(-1, 7).tolist(),
        teacher.logits.reshape(-1, 7).tolist())
    each = [sum((a - b)**2 for a, b in zip(*row)) for row in rows]
    assert square_distance(student, teacher).item() == pytest.approx(
        sum(each) / len(each), rel=1e-5)


def test_wrong_labels_are_any_other_class_alike():
    labels = torch.arange(5).repeat(4000)
    drawn = other_labels(labels, 5, torch.Generator().manual_seed(1))
    counts = torch.zeros(5, 5).index_put_((labels, drawn),
                                          torch.ones(20000),
                                          accumulate=True)
    assert not counts.diagonal().any()
    # A share of 1/4 of 4000 has a standard deviation of 27.
    rest = counts[~torch.eye(5, dtype=torch.bool)]
    assert (rest - 1000).abs().max() < 5 * 27
    again = other_labels(labels, 5, torch.Generator().manual_seed(1))
    assert torch.equal(drawn, again)


def streams():
    forget = StreamLoss([leaf(3.)], dict(bbox=leaf(.5)))
    retain = StreamLoss([leaf(2.)], dict(bbox=leaf(.25)))
    retain.student, retain.teacher = (
        outputs(SHAPES['classifier'], seed) for seed in (1, 2))
    return forget, retain


def test_lwf():
    forget, retain = streams()
    losses = LwF(
        distill=.5, retain=10., temperature=2.).losses(forget, retain,
                                                       NoGroups())
    kd = distillation(retain.student, retain.teacher, 2.)
    assert total(losses).item() == pytest.approx(3.5 + 22.5 + .5 * kd.item())
    total(losses).backward()
    assert forget.classification[0].grad == 1
    assert retain.classification[0].grad == 10
    assert retain.student.logits.grad.abs().sum() > 0
    assert LwF.relabels and LwF.needs_teacher == ('retain', )


@pytest.mark.parametrize('plus', [0., .5])
def test_der(plus):
    forget, retain = streams()
    losses = DER(match=.01, retain=plus).losses(forget, retain, NoGroups())
    square = square_distance(retain.student, retain.teacher)
    assert total(losses).item() == pytest.approx(3.5 + plus * 2.25 +
                                                 .01 * square.item())
    assert (retain.teacher.logits.grad is None) and DER.relabels


def test_fine_tuning_sees_what_stays_alone():
    forget, retain = streams()
    losses = FineTune().losses(None, retain, NoGroups())
    assert total(losses).item() == pytest.approx(2.25)
    assert FineTune().phase(3) == ('retain', )


class Line(nn.Module):
    """y = w x + b with a squared error: every gradient is known."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.bias = nn.Parameter(torch.zeros(1))
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)

    def plain_loss(self, inputs, samples):
        found = inputs @ self.weight + self.bias * self.frozen
        return (found - samples).square().mean()


def context_of(model, inputs, targets, previous=None):

    def batches(stream, batch_size):
        assert (stream, batch_size) == ('retain', 1)
        return zip(inputs.split(1), targets.split(1))

    return SimpleNamespace(
        model=model, batches=batches, previous=previous or {})


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


def test_springs_of_two_requests_pull_as_one():
    torch.manual_seed(0)
    first, second = Line([1., -2.]), Line([.5, 3.])
    data = [(torch.randn(6, 2), torch.randn(6)) for _ in range(2)]
    method = EWC(penalty=3., retain=0.)
    stored = method.prepare(context_of(first, *data[0]))
    stored = method.prepare(context_of(second, *data[1], stored))
    model = Line([.3, .7])
    method.begin(model, stored)
    total(method.losses(None, None, NoGroups())).backward()
    expected = sum(2 * 3. * fisher_by_hand(at, *of)['weight'] *
                   (model.weight - at.weight).detach()
                   for at, of in zip((first, second), data))
    torch.testing.assert_close(model.weight.grad, expected)


def test_group_penalty_needs_groups():
    with pytest.raises(ForgetError, match=r"alpha=15.*alpha=0, or.*'lora'"):
        GSLoRA().check_groups(NoGroups())
    method = GSLoRA(alpha=0.)
    method.check_groups(NoGroups())
    forget, retain = streams()
    losses = method.losses(forget, retain, NoGroups())
    assert total(losses).item() == pytest.approx(2.25 + .2 * 12.5)
    method.start_epoch(0, NoGroups())
    method.after_step(NoGroups(), None)


def test_importance_of_lora_is_refused():
    with pytest.raises(ForgetError, match="EWC.*forget.train='all'"):
        EWC().check_groups(['group'])


@pytest.mark.parametrize('kind, options', [(LwF, dict(temperature=0)),
                                           (LwF, dict(distill=-1)),
                                           (DER, dict(match='a')),
                                           (EWC, dict(penalty=-2.))])
def test_bad_arguments(kind, options):
    with pytest.raises(ForgetError, match=kind.__name__):
        kind(**options)
