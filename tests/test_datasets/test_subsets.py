import numpy as np
import pytest

from gslora_mm.datasets import (few_shot_subset, pooled_subset, random_subset,
                                stratified_subset)
from gslora_mm.utils.errors import ForgetError


def long_tailed(num=3000, num_classes=30, seed=0):
    """Several classes per image, some of them a hundred times rarer."""
    rng = np.random.default_rng(seed)
    share = np.geomspace(.5, .006, num_classes)
    hit = rng.random((num, num_classes)) < share
    hit[hit.sum(1) == 0, 0] = True
    return [set(np.flatnonzero(row).tolist()) for row in hit]


def class_counts(labels, indices):
    counts = np.zeros(max(max(s) for s in labels) + 1)
    for i in indices:
        for c in labels[i]:
            counts[c] += 1
    return counts


@pytest.mark.parametrize('ratio', [.05, .1, .3, .5, .8])
@pytest.mark.parametrize('seed', [0, 1])
def test_stratified_keeps_every_class(ratio, seed):
    labels = long_tailed()
    subset = stratified_subset(labels, ratio, seed)
    assert subset == sorted(set(subset))
    wanted = ratio * class_counts(labels, range(len(labels)))
    off = np.abs(class_counts(labels, subset) - wanted)
    # Rare classes within an image of the ideal, common ones within a tenth.
    assert (off <= 1 + .1 * wanted).all()
    assert (off[10:] <= 1).all()
    uniform = class_counts(labels, random_subset(labels, ratio, seed))
    assert np.abs(uniform - wanted)[10:].max() > 3
    assert abs(len(subset) / len(labels) - ratio) < .05 * ratio


def test_stratified_of_one_class_is_exact():
    assert len(stratified_subset([{0}] * 100, .3, 0)) == 30


def test_stratified_takes_images_without_labels_along():
    subset = stratified_subset([{0}] * 50 + [set()] * 50, .2, 0)
    assert len(subset) == 20 and sum(i < 50 for i in subset) == 10


def test_draws_are_seeded_and_leave_global_generators_alone():
    labels = long_tailed(500)
    draws = [
        lambda seed: stratified_subset(labels, .2, seed),
        lambda seed: random_subset(labels, .2, seed),
        lambda seed: few_shot_subset(labels, 2, seed),
        lambda seed: pooled_subset(labels, 40, seed),
    ]
    for draw in draws:
        state = np.random.get_state()[1].copy()
        assert draw(3) == draw(3)
        assert draw(3) != draw(4)
        assert (np.random.get_state()[1] == state).all()


@pytest.mark.parametrize('shots', [1, 4, 10])
def test_few_shot_gives_every_class_its_images(shots):
    labels = long_tailed()
    subset = few_shot_subset(labels, shots, 0)
    counts = class_counts(labels, subset)
    assert counts.min() >= shots
    assert len(subset) == len(set(subset)) <= shots * 30
    # Serving several classes at once saves images.
    assert len(subset) < .8 * shots * 30
    assert np.median(counts) <= 2 * shots


def test_few_shot_is_exact_where_classes_do_not_meet():
    labels = [{i % 4} for i in range(40)]
    subset = few_shot_subset(labels, 3, 1)
    assert class_counts(labels, subset).tolist() == [3, 3, 3, 3]


def test_few_shot_uses_every_image_of_a_scarce_class():
    labels = [{0}, {0, 1}, {1}, {1}, {1}]
    for seed in range(5):
        subset = few_shot_subset(labels, 2, seed)
        assert {0, 1} <= set(subset) and len(subset) == 3


def test_few_shot_names_the_classes_that_are_too_small():
    labels = [{0}, {0, 2}, {0, 1}, {1}]
    with pytest.raises(ForgetError, match=r'bee \(2\), cat \(1\).*to 1 '):
        few_shot_subset(labels, 3, 0, ('ant', 'bee', 'cat'))


def test_pooled_is_uniform_and_capped():
    labels = [{0}] * 10
    assert pooled_subset(labels, 99, 0) == list(range(10))
    hits = np.zeros(10)
    for seed in range(600):
        subset = pooled_subset(labels, 3, seed)
        assert len(set(subset)) == 3
        hits[subset] += 1
    assert hits.min() > 130 and hits.max() < 230


@pytest.mark.parametrize('ratio', [0, -.1, 1.01, '0.1', True, None])
def test_bad_ratio(ratio):
    with pytest.raises(ForgetError, match='ratio is'):
        stratified_subset([{0}], ratio, 0)


@pytest.mark.parametrize('shots', [0, 1.5, None, True])
def test_bad_shots(shots):
    with pytest.raises(ForgetError, match='shots is'):
        few_shot_subset([{0}], shots, 0)


def test_whole_set():
    assert stratified_subset([{0}, {1}], 1.0, 0) == [0, 1]
