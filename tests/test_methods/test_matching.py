"""Distances of features and outputs, on numbers that fit on paper."""
import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from torch.nn import functional as F

from gslora_mm.methods.matching import (box_distance, excess, feature_error,
                                        largest_scores, looking_queries,
                                        raised, relative_error,
                                        score_divergence, token_weights)
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


@pytest.mark.parametrize('weighted', [False, True])
def test_feature_error_is_that_of_scipy(weighted):
    torch.manual_seed(0)
    found = torch.randn(3, 20, 4) * torch.tensor([3., 1., .1, .01])
    found = found.requires_grad_()
    wanted = torch.randn(3, 20, 4)
    weights = torch.tensor([0., 1., 2., 9.]).repeat(15).view(3, 20)
    own = found.detach().double().view(-1, 4).numpy()
    counts = weights.view(-1).numpy() if weighted else np.ones(60)
    covariance = np.cov(own[counts > 0].T, bias=True)
    covariance += .02 * np.diag(covariance).mean() * np.eye(4)
    inverse = np.linalg.inv(covariance)
    aims = wanted.double().view(-1, 4).numpy()
    mahalanobises = [
        c * mahalanobis(s, t, inverse)**2 / 4
        for s, t, c in zip(own, aims, counts)
    ]
    weights = weights if weighted else None
    relative = relative_error(found, wanted, weights).item()
    error = feature_error(found, wanted, weights, mahalanobis=.3)
    assert error.item() == pytest.approx(
        relative + .3 * np.mean(mahalanobises), rel=1e-4)
    # The metric itself is a constant.
    error.backward()
    gaps = (own - aims) * counts[:, None]
    metric = .3 * inverse + np.eye(4) / np.square(aims).mean()
    np.testing.assert_allclose(
        found.grad.view(-1, 4), 2 * gaps @ metric / 60 / 4, rtol=1e-3)
    assert feature_error(found, wanted, weights, mahalanobis=0.) == relative


def test_feature_error_sees_what_a_probe_sees():
    """Not the unit of a direction, but how far it tells tokens apart."""
    torch.manual_seed(0)
    tokens = torch.randn(1, 1000, 3)
    units = torch.tensor([100., 1., .1])
    gap = torch.tensor([0., 0., 1.])
    plain, scaled = (
        feature_error(tokens * u, (tokens - gap) * u, shrinkage=0.) -
        relative_error(tokens * u, (tokens - gap) * u)
        for u in (torch.ones(3), units))
    torch.testing.assert_close(plain, scaled, rtol=1e-2, atol=0.)
    assert relative_error(tokens * units, (tokens - gap) * units) < 1e-5


def test_feature_error_of_nothing_to_tell_apart():
    same = torch.ones(2, 3, 4)
    assert feature_error(same, same).item() == 0
    assert feature_error(same, same, torch.zeros(2, 3)).item() == 0
    assert feature_error(same, 0 * same).isfinite()
    # Of a training that has diverged; the loss says so.
    assert feature_error(same * torch.nan, same).isnan()


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


@pytest.mark.parametrize('weight, most, number, wanted', [
    (9., None, 8, 9.),
    (9., 1., 1, 9.),
    (9., 1., 2, 4.),
    (9., .5, 2, 2.),
    (9., 1., 4, 1.5),
    (9., 1., 8, 1.),
    (9., .5, 4, 1.),
    (9., 2., 10, 1.),
    (.5, 1., 2, .5),
    (.5, 1., 8, .5),
])
def test_what_counts_more_counts_no_more_than_the_rest(weight, most, number,
                                                       wanted):
    chosen = torch.arange(10).reshape(2, 5) < number
    found = raised(chosen, weight, most)
    assert torch.equal(found, torch.where(chosen, wanted, 1.))


def test_what_does_not_count_is_no_part_of_the_limit():
    chosen = torch.tensor([1, 1, 0, 0, 0, 1]).bool()
    known = torch.tensor([1, 1, 1, 1, 1, 0]).bool()
    found = raised(chosen, 9., 1., known)
    assert found.tolist() == [1.5, 1.5, 1., 1., 1., 0.]
    # No painted place, and nothing but painted places.
    assert raised(chosen & False, 9., 1.).tolist() == [1.] * 6
    assert raised(chosen | True, 9., 1.).tolist() == [1.] * 6


def test_the_limit_of_tokens_holds_for_the_batch():
    grids = [(2, 4)]
    painted = [torch.tensor([[.3, .1, .6, .5]]), torch.zeros(0, 4)]
    extents = torch.tensor([[1., 1.], [.5, 1.]])
    found = token_weights(grids, 8, painted, extents, 9., .5)
    # Two of the twelve tokens that are no padding are painted.
    assert found.tolist() == [[1, 2.5, 2.5, 1, 1, 1, 1, 1],
                              [1, 1, 0, 0, 1, 1, 0, 0]]


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


def test_queries_that_look_at_painted_places():
    # Centres in shares of the image, which fills the left half of the second.
    boxes = torch.tensor([[.2, .2, .1, .1], [.5, .3, .9, .9], [.8, .8, .5,
                                                               .5]])
    painted = [
        torch.tensor([[.1, .1, .3, .3]]),
        torch.tensor([[.2, .2, .3, .4], [.35, .7, .45, .9]])
    ]
    extents = torch.tensor([[1., 1.], [.5, 1.]])
    found = looking_queries(torch.stack([boxes, boxes]), painted, extents)
    assert found.tolist() == [[True, False, False], [False, True, True]]
    nothing = [torch.zeros(0, 4)] * 2
    assert not looking_queries(torch.stack([boxes, boxes]), nothing,
                               extents).any()


def test_looking_queries_by_brute_force():
    torch.manual_seed(0)
    boxes = torch.rand(2, 50, 4)
    corner, extent = torch.rand(2, 3, 2) * .6, torch.rand(2, 3, 2) * .4
    painted = torch.cat([corner, corner + extent], -1)
    found = looking_queries(boxes, list(painted), torch.ones(2, 2))
    expected = [[
        any(x1 <= x <= x2 and y1 <= y <= y2 for x1, y1, x2, y2 in areas)
        for x, y, _, _ in queries
    ] for queries, areas in zip(boxes.tolist(), painted.tolist())]
    assert found.tolist() == expected and found.any() and not found.all()
