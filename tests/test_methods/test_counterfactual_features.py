"""Counterfactual features: the objective against loops in NumPy."""
import math

import numpy as np
import pytest
import torch
from method_toys import total
from torch import nn
from torch.nn import functional as F

from gslora_mm.lora import NoGroups
from gslora_mm.methods import CounterfactualFeatures
from gslora_mm.methods.distances import tempered
from gslora_mm.models import StreamLoss, StreamOutputs
from gslora_mm.utils import ForgetError

CLASSES, SIZES = 5, dict(a=4, b=3)
GONE = [1, 3]
RETAIN, FORGET = [0, 2, 2, 0, 4, 2], [1, 3, 1, 1, 3, 3]
RIDGE = 1e-3


def said(labels, seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(size):
        return torch.randn(
            len(labels), size, generator=generator).requires_grad_()

    return StreamOutputs(
        draw(CLASSES),
        draw(6),
        torch.tensor(labels),
        blocks={
            name: draw(size)
            for name, size in SIZES.items()
        })


def two_blocks():
    return nn.TransformerEncoder(
        nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 2)


def stream(labels, seed):
    found = StreamLoss([])
    found.student, found.teacher = said(labels, seed), said(labels, seed + 1)
    return found


def layers(outputs):
    return [*outputs.blocks.values(), outputs.embeddings]


def method_of(**options):
    method = CounterfactualFeatures(**{**dict(blocks=2), **options})
    model = nn.Module()
    model.head, model.forgotten = nn.Identity(), GONE
    model.layers = two_blocks()
    model.of_method = nn.ModuleDict(method.extra_modules(model))
    method.begin(model, {})
    return method


def numbers(tensor):
    return tensor.detach().double().numpy()


def expected(forget, retain):
    """Every term of a first batch."""
    seen = numbers(forget.teacher.logits)
    # Classes that go are no answer, nor is one without an image so far.
    taken = [max((0, 2, 4), key=lambda c: row[c]) for row in seen]
    pairs = list(zip(FORGET, taken))
    keep, means, spread, slopes = 0., 0., 0., []
    for h, h0, hf in zip(
            *map(layers, (retain.student, retain.teacher, forget.student))):
        h, h0, hf = map(numbers, (h, h0, hf))
        mu, mu0 = ({
            c: own[[i for i, y in enumerate(RETAIN) if y == c]].mean(0)
            for c in set(RETAIN)
        } for own in (h, h0))
        # Of the model that learns, around the original means.
        apart = h - np.stack([mu0[y] for y in RETAIN])
        inside = apart.T @ apart / len(h)
        size = h.shape[1]
        inside += np.eye(size) * np.diag(inside).mean() * (
            RIDGE + size / len(h))
        metric = np.linalg.inv(inside)
        moved = np.einsum('nd,de,ne->n', h - h0, metric, h - h0).mean()
        keep += (((h - h0)**2).mean() / (h0**2).mean() + moved / size) / 3
        slope = []
        for i, (c, t) in enumerate(pairs):
            own = hf[[j for j, p in enumerate(pairs) if p == (c, t)]].mean(0)
            gap, single = own - mu[t], hf[i] - mu[t]
            means += gap @ metric @ gap / len(hf) / size
            spread += single @ metric @ single / len(hf) / size
            slope.append(2 * metric @ gap / len(hf) / size)
        slopes.append(np.stack(slope))
    return keep, means, spread, slopes


def masked(seen):
    wanted = seen.teacher.logits.detach().clone()
    wanted[:, GONE] = -torch.inf
    return F.kl_div(
        F.log_softmax(seen.student.logits, 1),
        F.softmax(wanted, 1),
        reduction='batchmean')


def test_sum_of_weighted_terms():
    forget, retain = stream(FORGET, 1), stream(RETAIN, 5)
    method = method_of(means=2., spread=3., keep=.5, scores=4., retain=.7)
    found = method.losses(forget, retain, NoGroups())
    keep, means, spread, _ = expected(forget, retain)
    for name, value in dict(
            loss_keep=.5 * .7 * keep,
            loss_means=2. * means,
            loss_spread=3. * spread).items():
        assert found[name].item() == pytest.approx(value, rel=1e-4), name
    torch.testing.assert_close(found['loss_scores'],
                               4. * (masked(forget) + .7 * masked(retain)))
    assert not any('loss' in k for k in found if '/' in k)


def test_a_batch_far_off_counts_by_its_logarithm():
    """Or one spike of the metric would stop a training."""
    far = stream(FORGET, 1)
    with torch.no_grad():
        for layer in layers(far.student):
            layer *= 300
    method = method_of(means=2., spread=3., keep=0., scores=0.)
    found = method.losses(far, stream(RETAIN, 5), NoGroups())
    _, means, spread, _ = expected(far, stream(RETAIN, 5))
    assert min(means, spread) > 1e4
    for name, weight, value in (('means', 2., means), ('spread', 3., spread)):
        # What is logged is what was measured.
        assert found[f'forget/{name}'].item() == pytest.approx(value, rel=1e-4)
        assert found[f'loss_{name}'].item() == pytest.approx(
            weight * 100 * (1 + math.log(value / 100)), rel=1e-4)


def test_tempered_has_no_step_and_no_edge():
    value = torch.tensor([0., 3., 5. - 1e-4, 5. + 1e-4, 50.],
                         requires_grad=True)
    found = tempered(value, 5.)
    found.sum().backward()
    torch.testing.assert_close(
        found,
        torch.tensor([0., 3., 5., 5., 5 + 5 * math.log(10.)]),
        atol=2e-4,
        rtol=0.)
    torch.testing.assert_close(
        value.grad, torch.tensor([1., 1., 1., 1., .1]), atol=1e-4, rtol=0.)
    assert torch.equal(found[:3], value[:3])


def test_classes_move_as_a_whole():
    """What is learned is the slope of the means, not of single images."""
    forget, retain = stream(FORGET, 1), stream(RETAIN, 5)
    method = method_of(means=2., spread=0., keep=0., scores=0.)
    total(method.losses(forget, retain, NoGroups())).backward()
    *_, slopes = expected(forget, retain)
    for layer, slope in zip(layers(forget.student), slopes):
        np.testing.assert_allclose(layer.grad.numpy(), 2 * slope, rtol=1e-4)
    for layer in (*layers(retain.student), *layers(forget.teacher)):
        assert layer.grad is None or not layer.grad.abs().max()


def test_means_are_those_of_many_batches():
    """A second batch moves them, and both classes of a pair."""
    method = method_of()
    method.losses(stream(FORGET, 1), stream(RETAIN, 5), NoGroups())
    stats = method._statistics[-1]
    before, count = stats.means.clone(), len(stats.keys)
    method.losses(stream(FORGET, 1), stream(RETAIN, 9), NoGroups())
    assert len(stats.keys) == count
    assert not torch.equal(stats.means[stats.find(torch.tensor([[2, 2]]))],
                           before[stats.find(torch.tensor([[2, 2]]))])


def test_without_a_stream():
    forget, retain = stream(FORGET, 1), stream(RETAIN, 5)
    # Nothing is known of any class that stays.
    found = method_of(scores=1.).losses(forget, None, NoGroups())
    assert found['forget/means'] == found['forget/spread'] == 0
    torch.testing.assert_close(total(found), masked(forget))
    found = method_of().losses(None, retain, NoGroups())
    assert 'loss_means' not in found and found['loss_keep'] > 0


def test_statistics_are_of_the_checkpoint():
    """A resumed training goes on with them."""
    method, other = method_of(), method_of()
    method.losses(stream(FORGET, 1), stream(RETAIN, 5), NoGroups())
    for name in ('_statistics', '_original'):
        getattr(other,
                name).load_state_dict(getattr(method, name).state_dict())
    again = [
        m.losses(stream(FORGET, 3), stream(RETAIN, 7), NoGroups())
        for m in (method, other)
    ]
    for name, value in again[0].items():
        assert torch.equal(value, again[1][name]), name


@pytest.mark.parametrize('options, message', [
    (dict(means=-1.), 'means'),
    (dict(blocks=1.5), 'blocks'),
    (dict(retain=True), 'retain'),
])
def test_bad_options(options, message):
    with pytest.raises(ForgetError, match=message):
        CounterfactualFeatures(**options)


def test_shallow_models_are_refused():
    model = nn.Module()
    model.head, model.layers = nn.Identity(), two_blocks()
    CounterfactualFeatures(blocks=2).extra_modules(model)
    with pytest.raises(ForgetError, match='blocks is 3, .* has 2'):
        CounterfactualFeatures(blocks=3).extra_modules(model)


def test_detectors_are_refused():
    with pytest.raises(ForgetError, match='CounterfactualTeacher'):
        CounterfactualFeatures().extra_modules(nn.Identity())
