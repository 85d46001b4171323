"""Running means and covariances against sums on paper."""
import pytest
import torch

from gslora_mm.methods.class_statistics import ClassStatistics, KeyGroups

MOMENTUM, RIDGE, SIZE = .9, 1e-2, 4


@pytest.fixture
def known():
    return ClassStatistics(MOMENTUM, RIDGE)


def keys(*pairs):
    return torch.tensor(pairs)


def draw(count, seed=0):
    return torch.randn(
        count, SIZE, generator=torch.Generator().manual_seed(seed))


def test_means_move_as_by_single_images(known):
    first, second = draw(3), draw(2, 1)
    known.update(first, KeyGroups.of(keys((1, 1), (1, 1), (2, 5))))
    torch.testing.assert_close(
        known.mean(keys((2, 5), (1, 1))),
        torch.stack([first[2], first[:2].mean(0)]))
    known.update(second, KeyGroups.of(keys((1, 1), (1, 1))))
    left = MOMENTUM**2
    torch.testing.assert_close(
        known.mean(keys((1, 1)))[0],
        left * first[:2].mean(0) + (1 - left) * second.mean(0))
    assert known.find(keys((5, 2), (2, 5))).tolist() == [-1, 1]


def test_known_and_new_classes_in_one_batch(known):
    first = draw(4)
    known.update(first, KeyGroups.of(keys((3, 0), (1, 2), (3, 0), (1, 1))))
    labels = [(9, 9), (1, 2), (0, 0), (3, 0), (9, 9), (1, 2), (3, 0), (3, 0)]
    second = draw(8, 1)
    known.update(second, KeyGroups.of(keys(*labels)))
    wanted = {(3, 0): first[[0, 2]].mean(0), (1, 2): first[1],
              (1, 1): first[3]}  # yapf: disable
    for label in set(labels):
        own = second[[i for i, other in enumerate(labels) if other == label]]
        if label in wanted:
            for image in range(len(own)):
                wanted[label] = (
                    MOMENTUM * wanted[label] + (1 - MOMENTUM) * own.mean(0))
        else:
            wanted[label] = own.mean(0)
    assert len(known.means) == len(known.keys) == len(wanted)
    torch.testing.assert_close(
        known.mean(keys(*wanted)), torch.stack(list(wanted.values())))


def test_covariance_inside_of_classes(known):
    features, labels = draw(8), keys(*[(i % 2, i % 2) for i in range(8)])
    known.update(features, KeyGroups.of(labels))
    known.spread(features, known.mean(labels))
    apart = torch.cat(
        [features[k::2] - features[k::2].mean(0) for k in range(2)])
    covariance = apart.T @ apart / 8
    torch.testing.assert_close(known.covariance, covariance)
    share = RIDGE + SIZE / 8
    torch.testing.assert_close(
        known.precision,
        torch.linalg.inv(covariance + share * covariance.diagonal().mean() *
                         torch.eye(SIZE)))
    # Another batch counts as much, as long as few images were seen.
    known.spread(features[:4], known.mean(labels[:4]))
    part = features[:4] - known.mean(labels[:4])
    torch.testing.assert_close(known.covariance,
                               (8 * covariance + part.T @ part) / 12)


def test_the_metric_is_that_of_the_last_batch(known):
    """However many there were."""
    for batch in range(25):
        known.spread(draw(8, batch) * (1 + batch), torch.zeros(8, SIZE))
    # Of as many images as ten times the dimensions.
    covariance = torch.zeros(SIZE, SIZE)
    for batch in range(25):
        apart = draw(8, batch) * (1 + batch)
        share = max(8 / (10 * SIZE), 8 / (8 * (batch + 1)))
        covariance += share * (apart.T @ apart / 8 - covariance)
    share = RIDGE + SIZE / (8 * 25)
    torch.testing.assert_close(
        known.precision,
        torch.linalg.inv(covariance + share * covariance.diagonal().mean() *
                         torch.eye(SIZE)))


def test_single_images_have_no_spread(known):
    """What looks like certainty is none."""
    features, labels = draw(3), keys((0, 0), (1, 1), (2, 2))
    known.update(features, KeyGroups.of(labels))
    known.spread(features, known.mean(labels))
    share = RIDGE + SIZE / 3
    torch.testing.assert_close(
        known.precision,
        torch.eye(SIZE) / (share * 1e-3 * features.square().mean()))


def test_distance_of_means_and_its_gradient(known):
    features = draw(6).requires_grad_()
    pairs = keys((3, 1), (3, 1), (3, 2), (4, 2), (1, 1), (2, 2))
    known.update(features, KeyGroups.of(pairs))
    known.spread(features[4:].detach(), features[4:].detach() + 1)
    known.precision = torch.diag(torch.arange(1., SIZE + 1))
    wanted = keys((1, 1), (1, 1), (2, 2), (2, 2))
    targets = known.mean(wanted)
    found = known.squared_means(features[:4] - targets, pairs[:4], targets)
    rows = features.detach()
    gaps = torch.stack([(rows[0] + rows[1]) / 2 - rows[4],
                        (rows[0] + rows[1]) / 2 - rows[4], rows[2] - rows[5],
                        rows[3] - rows[5]])
    weights = torch.arange(1., SIZE + 1)
    torch.testing.assert_close(found, (weights * gaps**2).sum() / 4)
    found.backward()
    torch.testing.assert_close(features.grad[:4], 2 * weights * gaps / 4)
    assert not features.grad[4:].any()


def test_state_of_any_size_is_loaded(known):
    known.update(draw(5), KeyGroups.of(keys(*[(i, i) for i in range(5)])))
    known.spread(draw(5), draw(5, 1))
    other = ClassStatistics(MOMENTUM, RIDGE)
    other.load_state_dict(known.state_dict())
    for name, value in known.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
