"""Distances of features and outputs, on numbers that fit on paper."""
import math

import pytest
import torch
from torch.nn import functional as F

from gslora_mm.methods.matching import (box_distance, excess, largest_scores,
                                        relative_error, score_divergence,
                                        token_weights)
from gslora_mm.models import StreamOutputs
from gslora_mm.utils import ForgetError


def said(logits, boxes=None, sigmoid=True):
    logits = torch.as_tensor(logits).float()
    return StreamOutputs(logits, logits, boxes=boxes, sigmoid=sigmoid)


def logit(p):
    return math.log(p / (1 - p))


def test_relative_error():
    found = torch.tensor([[[1., 2.], [0., 0.]]], requires_grad=True)
    wanted = torch.tensor([[[1., 0.], [2., 0.]]])
    # Errors 0 4 and 4 0; squares 1 0 4 0.
    assert relative_error(found, wanted).item() == pytest.approx(8 / 5)
    weighted = relative_error(found, wanted, torch.tensor([[3., 1.]]))
    assert weighted.item() == pytest.approx((3 * 2 + 1 * 2) / 2 / (5 / 4))
    # The unit of the features does not matter.
    assert relative_error(7 * found, 7 * wanted).item() == pytest.approx(8 / 5)
    weighted.backward()
    expected = [[[0., 3 * 2 * 2 / 2 / 2 / 1.25], [-2 / 2 * 2 / 2 / 1.25, 0.]]]
    torch.testing.assert_close(found.grad, torch.tensor(expected))
    assert relative_error(wanted, wanted).item() == 0
    assert relative_error(0 * found, 0 * wanted).item() == 0


def test_scores_by_the_objects_that_the_teacher_sees():
    teacher = said([[[logit(.9), logit(.2)], [logit(.8), logit(.6)]]])
    student = said([[[.3, -1.], [2., .5]]])
    torch.testing.assert_close(
        largest_scores(teacher), torch.tensor([[.9, .8]]))
    wanted = torch.tensor([[[.9, .2], [.8, .6]]])
    cross = F.binary_cross_entropy_with_logits(
        student.logits, wanted, reduction='sum')
    entropy = -(wanted * wanted.log() + (1 - wanted) *
                (1 - wanted).log()).sum()
    expected = (cross - entropy) / 1.7
    torch.testing.assert_close(score_divergence(student, teacher), expected)
    assert score_divergence(teacher, teacher).item() == pytest.approx(
        0, abs=1e-6)
    # Masked: the second class has no score at all.
    wanted[..., 1] = 0
    entropy = -sum(p * math.log(p) + (1 - p) * math.log(1 - p)
                   for p in (.9, .8))
    cross = F.binary_cross_entropy_with_logits(
        student.logits, wanted, reduction='sum')
    torch.testing.assert_close(
        score_divergence(student, teacher, [1]), (cross - entropy) / 1.7)


def test_scores_of_a_softmax():
    teacher = said([[[0., math.log(3.), math.log(4.)]]], sigmoid=False)
    student = said([[[1., 0., 0.]]], sigmoid=False)
    torch.testing.assert_close(largest_scores(teacher), torch.tensor([[.375]]))
    expected = F.kl_div(
        student.logits.log_softmax(-1),
        teacher.logits.softmax(-1),
        reduction='sum')
    # Less than one object counts as one.
    torch.testing.assert_close(score_divergence(student, teacher), expected)


def test_boxes_weighted_by_scores():
    teacher = said([[[logit(.9)], [logit(.3)]]], torch.zeros(1, 2, 4))
    boxes = torch.tensor([[[.1, 0., 0., -.1], [.4, .4, 0., 0.]]])
    student = said([[[0.], [0.]]], boxes)
    expected = (.9 * .2 + .3 * .8) / 1.2
    assert box_distance(student, teacher).item() == pytest.approx(expected)


def test_excess_counts_what_is_above_alone():
    teacher = said([[[0., 1., -2.], [0., 0., 0.]]])
    student = said([[[9., 3., -3.], [9., -1., 1.]]])
    assert excess(student, teacher, [1, 2]).item() == pytest.approx(5 / 4)


def test_tokens_inside():
    grids = [(2, 4), (1, 2)]
    extents = torch.tensor([[1., 1.], [.5, 1.]])
    # From the second to the third column of the upper row.
    painted = [torch.tensor([[.3, .1, .6, .5]]), torch.zeros(0, 4)]
    found = token_weights(grids, 10, painted, extents, 9.)
    assert found.tolist() == [[1, 9, 9, 1, 1, 1, 1, 1, 9, 9],
                              [1, 1, 0, 0, 1, 1, 0, 0, 1, 0]]
    # One level of a plain DETR.
    found = token_weights(grids, 2, painted, extents, 3.)
    assert found.tolist() == [[3, 3], [1, 0]]
    with pytest.raises(ForgetError, match='returns 7 tokens'):
        token_weights(grids, 7, painted, extents)


def test_tokens_inside_by_brute_force():
    torch.manual_seed(0)
    grids = [(8, 6), (4, 3)]
    corner, extent = torch.rand(5, 2) * .7, torch.rand(5, 2) * .3 + .01
    boxes = torch.cat([corner, corner + extent], 1)
    found = token_weights(grids, 60, [boxes], torch.ones(1, 2), 2.)[0]
    expected = []
    for h, w in grids:
        for y in range(h):
            for x in range(w):
                touched = any(x1 < (x + 1) / w and x /
                              w < x2 and y1 < (y + 1) / h and y / h < y2
                              for x1, y1, x2, y2 in boxes.tolist())
                expected.append(2. if touched else 1.)
    assert found.tolist() == expected
