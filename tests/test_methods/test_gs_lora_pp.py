"""The prototype term, written out in numpy."""
import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy
from torch import nn

from gslora_mm.lora import LoRAGroups, inject_lora
from gslora_mm.methods import (GSLoRA, GSLoRAPlusPlus, Prototypes,
                               load_prototypes)
from gslora_mm.models import StreamFeatures, StreamLoss
from gslora_mm.registry import METHODS
from gslora_mm.utils import ForgetError

CLASSES, WIDTH, LOGITS = 5, 8, 6
# Training shows no image of it.
UNSEEN = 3
LABELS = dict(forget=[0, 4, 0], retain=[1, 2, 2, 1])


@pytest.fixture(scope='module')
def groups():
    torch.manual_seed(0)
    model = nn.ModuleList([
        nn.ModuleDict(
            dict(
                attention=nn.MultiheadAttention(8, 2),
                ffn=nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 8))))
    ])
    inject_lora(model, rank=2)
    return LoRAGroups(model)


@pytest.fixture(scope='module')
def prototypes():
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(CLASSES, WIDTH, generator=generator)
    embeddings[UNSEEN] = 0
    counts = torch.tensor([3., 1., 2., 0., 7.])
    logits = torch.randn(CLASSES, LOGITS, generator=generator)
    spreads = torch.rand(CLASSES, 3, generator=generator)
    return Prototypes(embeddings, logits, counts, spreads)


@pytest.fixture(scope='module')
def file(prototypes, tmp_path_factory):
    path = tmp_path_factory.mktemp('prototypes') / 'prototypes.safetensors'
    prototypes.save(path, dict(made='by hand'))
    return str(path)


def stream(labels, seed=2):
    """A loss of one term, and features that have gradients."""
    generator = torch.Generator().manual_seed(seed)
    features = StreamFeatures(
        torch.randn(len(labels), WIDTH, generator=generator),
        torch.randn(len(labels), LOGITS, generator=generator),
        torch.tensor(labels, dtype=torch.long))
    for value in (features.embeddings, features.logits):
        value.requires_grad_()
    return StreamLoss([torch.tensor(3.)], features=features)


def streams(**labels):
    labels = {**LABELS, **labels}
    return (stream(labels['forget'], 2), stream(labels['retain'], 3))


def kl(found, expected):
    """scipy's relative entropy of two softmaxes."""
    return entropy(softmax(expected, axis=1), softmax(found, axis=1), axis=1)


def cosine(found, expected):
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return 1 - (found * expected).sum(1) / norms


REFERENCE = dict(
    kl=('embeddings', kl, 18.),
    logits=('logits', kl, 18.),
    cosine=('embeddings', cosine, 1.))


def expected_distance(distance, loss, prototypes, slack=0.):
    """Mean over the samples whose class has a prototype."""
    key, rule, _ = REFERENCE[distance]
    labels = loss.features.labels.numpy()
    known = np.isin(labels, [0, 1, 2, 4])
    found = getattr(loss.features, key).detach().double().numpy()
    target = getattr(prototypes, key).double().numpy()[labels]
    usual = prototypes.spreads[:, list(REFERENCE).index(distance)].double()
    far = rule(found, target) - slack * usual.numpy()[labels]
    return np.maximum(far[known], 0).mean()


@pytest.mark.parametrize('distance', REFERENCE)
@pytest.mark.parametrize('slack', [.5, 2., 1e3])
def test_slack(distance, slack, prototypes, file, groups):
    """Retained samples at their usual distance are left alone."""
    forget, retain = streams(retain=[1, 2, UNSEEN, 2, 1, 0, 4])
    method = weighted(.3, .7, distance=distance, prototypes=file,
                      prototype_slack=slack)  # yapf: disable
    losses = method.losses(forget, retain, groups)
    far = expected_distance(distance, forget, prototypes)
    near = expected_distance(distance, retain, prototypes)
    held = expected_distance(distance, retain, prototypes, slack)
    expected = .3 * max(REFERENCE[distance][2] - far, 0) + .7 * held
    assert held < near and (slack > .5 or held > 0)
    assert value_of(losses) == pytest.approx(expected, rel=1e-4)
    # What is reported is the distance itself.
    assert float(losses['retain/prototype']) == pytest.approx(near, rel=1e-4)


def weighted(forget, retain, bound=None, **options):
    return GSLoRAPlusPlus(
        prototype_forget=forget,
        prototype_retain=retain,
        prototype_bound=bound,
        **options)


def value_of(losses):
    return float(losses['loss_prototype'].detach())


@pytest.mark.parametrize('distance', REFERENCE)
@pytest.mark.parametrize('labels', [{}, dict(retain=[1, UNSEEN, 2, UNSEEN])])
@pytest.mark.parametrize('share', [.5, 2., None])
def test_closed_form(distance, labels, share, prototypes, file, groups):
    forget, retain = streams(**labels)
    far = expected_distance(distance, forget, prototypes)
    near = expected_distance(distance, retain, prototypes)
    # A bound that is reached, one that is not, and that of the distance.
    bound = share and share * far
    method = weighted(.3, .7, bound, distance=distance, prototypes=file)
    losses = method.losses(forget, retain, groups)
    bound = REFERENCE[distance][2] if bound is None else bound
    expected = .3 * max(bound - far, 0) + .7 * near
    assert value_of(losses) == pytest.approx(expected, rel=1e-4)
    assert float(losses['forget/prototype']) == pytest.approx(far, rel=1e-4)
    assert float(losses['retain/prototype']) == pytest.approx(near, rel=1e-4)
    assert not losses['forget/prototype'].requires_grad


@pytest.mark.parametrize('distance', REFERENCE)
def test_gradients_push_and_pull(distance, file, groups):
    """Forgotten samples leave their prototypes, retained ones come back."""
    forget, retain = streams()
    method = weighted(1., 1., 1e3, distance=distance, prototypes=file)
    before = [method.distances(s.features)[0] for s in (forget, retain)]
    method.losses(forget, retain, groups)['loss_prototype'].backward()
    key = REFERENCE[distance][0]
    after = []
    for loss in (forget, retain):
        value = getattr(loss.features, key)
        with torch.no_grad():
            value -= .1 * value.grad
        after.append(method.distances(loss.features)[0])
    assert after[0].mean() > before[0].mean()
    assert after[1].mean() < before[1].mean()


def test_at_the_bound_nothing_is_pushed(file, groups):
    forget, _ = streams()
    method = weighted(1., 1., 0., prototypes=file)
    losses = method.losses(forget, None, groups)
    losses['loss_prototype'].backward()
    assert value_of(losses) == 0
    assert not forget.features.embeddings.grad.any()


def test_the_rest_is_gs_lora(file, groups):
    forget, retain = streams()
    options = dict(beta=.4, alpha=.01, bound=9., mode='subgradient')
    found = GSLoRAPlusPlus(
        prototypes=file, **options).losses(forget, retain, groups)
    plain = GSLoRA(**options).losses(forget, retain, groups)
    extra = {'loss_prototype', 'forget/prototype', 'retain/prototype'}
    assert set(found) - set(plain) == extra
    for key, value in plain.items():
        assert torch.equal(found[key], value), key


@pytest.mark.parametrize('forget, retain', [
    (None, None),
    (None, [1, 2]),
    ([0, 4], None),
    ([], []),
    ([], [1, 2]),
    ([0], []),
])
def test_streams_that_are_absent_or_empty(forget, retain, prototypes, file,
                                          groups):
    """Batches without boxes have losses and no features."""
    method = weighted(.3, .7, prototypes=file)
    made = [
        labels if labels is None else stream(labels, 2)
        for labels in (forget, retain)
    ]
    losses = method.losses(*made, groups)
    expected = 0.
    if forget:
        expected += .3 * (18 - expected_distance('kl', made[0], prototypes))
    if retain:
        expected += .7 * expected_distance('kl', made[1], prototypes)
    assert ('loss_prototype' in losses) == bool(forget or retain)
    if forget or retain:
        assert value_of(losses) == pytest.approx(expected, rel=1e-4)
    assert all(torch.isfinite(v) for v in losses.values())


@pytest.mark.parametrize('distance', REFERENCE)
def test_classes_without_a_prototype_give_nothing(distance, file, groups):
    made = stream([UNSEEN, UNSEEN]), stream([UNSEEN])
    method = GSLoRAPlusPlus(distance=distance, prototypes=file)
    losses = method.losses(*made, groups)
    assert value_of(losses) == 0
    losses['loss_prototype'].backward()
    for loss in made:
        for value in (loss.features.embeddings, loss.features.logits):
            assert value.grad is None or (value.grad == 0).all()


def test_half_precision_is_not_used(file, groups):
    forget, retain = streams()
    method = GSLoRAPlusPlus(prototypes=file)
    exact = method.losses(forget, retain, groups)['loss_prototype']
    for loss in (forget, retain):
        loss.features.embeddings = loss.features.embeddings.bfloat16()
    rounded = method.losses(forget, retain, groups)['loss_prototype']
    assert rounded.dtype == torch.float32
    assert float(rounded) == pytest.approx(float(exact), rel=1e-2)


def test_file_keeps_every_bit(prototypes, file):
    found, about = load_prototypes(file)
    assert about == dict(made='by hand')
    for key, value in vars(prototypes).items():
        assert torch.equal(getattr(found, key), value)


@pytest.mark.parametrize('content', [None, b'', b'no tensors', 'other'])
def test_files_that_are_none(content, tmp_path, groups):
    path = tmp_path / 'prototypes.safetensors'
    if content == 'other':
        from safetensors.torch import save_file
        save_file(dict(embeddings=torch.zeros(2)), path)
    elif content is not None:
        path.write_bytes(content)
    method = GSLoRAPlusPlus(prototypes=str(path))
    with pytest.raises(ForgetError, match='prototypes.safetensors') as caught:
        method.losses(*streams(), groups)
    assert '\n' not in str(caught.value)


def test_without_a_file(groups):
    with pytest.raises(ForgetError, match='needs prototypes=FILE'):
        GSLoRAPlusPlus().losses(*streams(), groups)


@pytest.mark.parametrize('options, message', [
    (dict(prototype_forget=-.1), 'prototype_forget of GSLoRAPlusPlus'),
    (dict(prototype_retain='much'), 'prototype_retain of GSLoRAPlusPlus'),
    (dict(prototype_retain=None), 'prototype_retain'),
    (dict(prototype_forget=math.nan), 'prototype_forget'),
    (dict(prototype_bound=-1), 'prototype_bound'),
    (dict(prototype_bound=True), 'prototype_bound'),
    (dict(prototype_slack=-1.), 'prototype_slack'),
    (dict(prototype_slack=None), 'prototype_slack'),
    (dict(distance='l2'), 'kl, logits, cosine'),
    (dict(distance=3), 'kl, logits, cosine'),
    (dict(beta=-1), 'beta of GSLoRAPlusPlus'),
    (dict(mode='lasso'), 'mode of GSLoRAPlusPlus'),
])
def test_bad_arguments(options, message):
    with pytest.raises(ForgetError, match=message) as caught:
        GSLoRAPlusPlus(**options)
    assert '\n' not in str(caught.value)


def test_is_registered_and_asks_for_what_it_needs():
    method = METHODS.build(dict(type='GSLoRAPlusPlus', beta=.5))
    assert isinstance(method, GSLoRA) and method.beta == .5
    assert method.needs_features and method.needs_prototypes
    assert not GSLoRA.needs_features and not GSLoRA.needs_prototypes
