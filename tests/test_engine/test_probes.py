"""Probes of features: separable, at chance, and against other formulas."""
import warnings

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from gslora_mm.engine.recovery import probes


@pytest.fixture
def clouds():
    """Three well separated clouds in ten dimensions, one far from zero."""
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    centres = 8 * rng.normal(size=(3, 10)) + 100
    return centres[labels] + rng.normal(size=(150, 10)), labels


def test_separable_classes_are_all_found(clouds):
    x, y = clouds
    assert probes.probe_accuracy(x[::2], y[::2], x[1::2], y[1::2], 0) == {
        0: 1.,
        1: 1.,
        2: 1.
    }


def test_permuted_labels_are_at_chance():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 5))
    # The first feature is the label, until labels are permuted.
    y = (x[:, 0] > 0).astype(int)
    accuracy = probes.probe_accuracy(x[:300], y[:300], x[300:], y[300:], 0)
    assert min(accuracy.values()) > .9
    y = rng.permutation(y)
    accuracy = probes.probe_accuracy(x[:300], y[:300], x[300:], y[300:], 0)
    assert .4 < np.mean(list(accuracy.values())) < .6
    assert .4 < probes.tell_apart(x, y == 1, 0) < .6


def test_probe_sees_no_label_of_what_it_is_measured_on(clouds):
    x, y = clouds
    first = probes.probe_accuracy(x[::2], y[::2], x[1::2], y[1::2], 0)
    # Classes that it was not shown are never found.
    known = y[::2] != 2
    found = probes.probe_accuracy(x[::2][known], y[::2][known], x[1::2],
                                  y[1::2], 0)
    assert found[2] == 0 and found[0] == first[0]


def test_two_kinds_are_told_apart(clouds):
    x, y = clouds
    assert probes.tell_apart(x, y == 1, 0) == 1
    assert np.isnan(probes.tell_apart(x, np.arange(150) == 1, 0))


def test_area_counts_pairs():
    rng = np.random.default_rng(0)
    scores, lost = rng.normal(size=60).round(1), np.arange(60) % 4 == 0
    pairs = mannwhitneyu(scores[lost], scores[~lost]).statistic
    wanted = pairs / (lost.sum() * (~lost).sum())
    found = probes.area(scores, lost)
    assert found == pytest.approx(max(wanted, 1 - wanted))
    # Low scores give a class away as well as high ones.
    assert probes.area(-scores, lost) == pytest.approx(found)
    assert np.isnan(probes.area(scores, lost & False))


@pytest.mark.parametrize('sigmoid', [False, True])
def test_scores_against_their_definitions(sigmoid):
    logits = np.random.default_rng(0).normal(size=(5, 4)) * 3
    found = probes.output_scores(logits, sigmoid)
    if sigmoid:
        p = 1 / (1 + np.exp(-logits))
        entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum(1)
    else:
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        entropy = -(p * np.log(p)).sum(1)
    np.testing.assert_allclose(found['entropy'], entropy)
    np.testing.assert_allclose(found['max_logit'], logits.max(1))
    np.testing.assert_allclose(found['energy'], np.log(np.exp(logits).sum(1)))
    ordered = probes.sorted_outputs(logits, sigmoid)
    np.testing.assert_allclose(ordered, np.log(-np.sort(-p, 1)))


def test_filtered_outputs_stay_finite():
    logits = np.array([[1., -1e4], [1e4, 0.]], np.float32)
    for sigmoid in (False, True):
        for values in probes.output_scores(logits, sigmoid).values():
            assert np.isfinite(values).all()
        assert np.isfinite(probes.sorted_outputs(logits, sigmoid)).all()


def test_probes_are_quiet_and_repeat(clouds, monkeypatch):
    x, y = clouds
    monkeypatch.setattr(probes, '_ITERATIONS', 1)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        first, again = (
            probes.probe_accuracy(x[::2], y[::2], x[1::2], y[1::2], 3)
            for _ in range(2))
    assert first == again
