"""Objectives of the baselines on small tensors, against formulas."""
import pytest
import torch
from method_toys import SHAPES, outputs, streams, total
from torch.distributions import Bernoulli, Categorical, kl_divergence

from gslora_mm.lora import NoGroups
from gslora_mm.methods import (DER, EWC, FineTune, GSLoRA, LwF, distillation,
                               other_labels, square_distance)
from gslora_mm.utils import ForgetError


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


@pytest.mark.parametrize('kind, options', [(LwF, dict(temperature=0)),
                                           (LwF, dict(distill=-1)),
                                           (DER, dict(match='a')),
                                           (EWC, dict(penalty=-2.))])
def test_bad_arguments(kind, options):
    with pytest.raises(ForgetError, match=kind.__name__):
        kind(**options)
