"""DELETE, head distillation and FDR, against formulas of a few lines."""
import math

import pytest
import torch
from method_toys import SHAPES, outputs, streams, total

from gslora_mm.lora import NoGroups
from gslora_mm.methods import (DELETE, FDR, HeadDistillation, distance,
                               distillation, masked_distillation)

GONE = [1, 4]


def softmax_by_hand(student, teacher):
    kept = [k for k in range(len(student)) if k not in GONE]
    bottom = sum(math.exp(teacher[k]) for k in kept)
    norm = math.log(sum(math.exp(s) for s in student))
    target = {k: math.exp(teacher[k]) / bottom for k in kept}
    return sum(t * (math.log(t) - student[k] + norm)
               for k, t in target.items())  # yapf: disable


def sigmoid_by_hand(student, teacher):
    found = 0
    for k, (s, t) in enumerate(zip(student, teacher)):
        p = 1 / (1 + math.exp(-s))
        q = 0. if k in GONE else 1 / (1 + math.exp(-t))
        for share, of in ((q, p), (1 - q, 1 - p)):
            found += share * math.log(share / of) if share else 0.
    return found


@pytest.mark.parametrize('kind', SHAPES)
@pytest.mark.parametrize('sigmoid', [False, True])
def test_targets_have_nothing_of_what_goes(kind, sigmoid):
    student, teacher = (outputs(SHAPES[kind], i, sigmoid) for i in (1, 2))
    rows = zip(*(x.logits.reshape(-1, 7).tolist() for x in (student, teacher)))
    rule = sigmoid_by_hand if sigmoid else softmax_by_hand
    each = [rule(*row) for row in rows]
    found = masked_distillation(student, teacher, GONE)
    assert found.item() == pytest.approx(sum(each) / len(each), rel=1e-4)
    found.backward()
    slope = student.logits.grad
    assert slope.isfinite().all() and (slope[..., GONE] > 0).all()


@pytest.mark.parametrize('temperature', [1., 3.])
def test_distillation_of_some_classes(temperature):
    for sigmoid in (False, True):
        student, teacher = (
            outputs(SHAPES['detector'], i, sigmoid) for i in (1, 2))
        some = [outputs(SHAPES['detector'], i, sigmoid) for i in (1, 2)]
        for said in some:
            said.logits = said.logits[..., GONE]
        found = distillation(student, teacher, temperature, GONE)
        torch.testing.assert_close(found, distillation(*some, temperature))
        found.backward()
        rest = [0, 2, 3, 5, 6]
        assert not student.logits.grad[..., rest].any()
        assert student.logits.grad[..., GONE].any()


@pytest.mark.parametrize('kind, retain', [(DELETE, 0.), (DELETE, .5),
                                          (HeadDistillation, .5)])
def test_objectives(kind, retain):
    forget, kept = streams()
    method = kind(retain=retain)
    method.forgotten = GONE
    found = method.losses(forget, kept if retain else None, NoGroups())
    expected = masked_distillation(forget.student, forget.teacher, GONE)
    if kind is DELETE:
        rest = distillation(kept.student, kept.teacher)
    else:
        rest = masked_distillation(kept.student, kept.teacher, GONE)
    torch.testing.assert_close(total(found), expected + retain * rest)
    both = ('forget', 'retain')
    assert method.phase(0) == (both if retain else ('forget', ))
    assert not kind.relabels


def test_published_delete_needs_no_retained_image():
    assert DELETE().phase(5) == ('forget', )
    assert HeadDistillation().phase(5) == ('forget', 'retain')


@pytest.mark.parametrize('kind', SHAPES)
def test_fdr_is_a_norm_of_each_image(kind):
    forget, retain = streams(SHAPES[kind])
    rows = zip(*(x.logits.reshape(-1, 7).tolist()
                 for x in (retain.student, retain.teacher)))  # yapf: disable
    each = [math.dist(*row) for row in rows]
    mean = sum(each) / len(each)
    assert distance(retain.student, retain.teacher).item() == pytest.approx(
        mean, rel=1e-5)
    found = FDR(match=3.).losses(forget, retain, NoGroups())
    assert total(found).item() == pytest.approx(3.5 + 3 * mean, rel=1e-5)
    # At the start student and teacher say the same.
    student = outputs(SHAPES[kind], 1)
    distance(student, outputs(SHAPES[kind], 1)).backward()
    assert not student.logits.grad.any()
