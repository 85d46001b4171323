"""Losses that know all forgotten classes, written out in numpy."""
import numpy as np
import pytest
import torch
from vit_toys import (NUM_CLASSES, batch, build_forgetting, make_pair,
                      of_stream, randomise_lora)

from gslora_mm.models.classifier_forgetting import pooled_logits
from gslora_mm.utils import ForgetError

MARGIN = 3.


@pytest.fixture(params=['swin', 'vit', 'cosface'])
def case(request):
    """A model and the labels of all that is forgotten so far."""
    model = make_pair(request.param).wrapped
    randomise_lora(model)
    gone = sorted({int(s.gt_label) for s in _forget()[1]})
    spare = next(c for c in range(NUM_CLASSES) if c not in gone)
    yield model, [*gone, spare]
    _plain(model)


def _plain(model):
    model.forget_margin = model.retain_margin = 0.
    model.forget_target, model.forgotten = 'class', []


def _forget():
    return of_stream(*batch(), 'forget')


def _logits(model):
    """Of the forget images, without any margin; float64 numpy."""
    with torch.no_grad():
        return model(_forget()[0], mode='tensor').double().numpy()


def _forgotten_probability(logits, gone):
    exp = np.exp(logits - logits.max(1, keepdims=True))
    return exp[:, gone].sum(1) / exp.sum(1)


def test_loss_is_that_of_the_summed_probability():
    model = make_pair('swin').wrapped
    randomise_lora(model)
    gone = sorted({int(s.gt_label) for s in _forget()[1]} | {0, 3})
    expected = -np.log(_forgotten_probability(_logits(model), gone)).mean()
    plain = model.loss(*batch())
    model.forget_target, model.forgotten = 'forgotten', gone
    found = model.loss(*batch())
    _plain(model)
    assert float(found['forget/cls']) == pytest.approx(expected, rel=1e-5)
    assert float(found['forget/cls']) < float(plain['forget/cls'])
    torch.testing.assert_close(found['retain/cls'], plain['retain/cls'])


def test_one_forgotten_class_is_the_published_loss():
    logits = torch.randn(5, NUM_CLASSES, generator=_generator())
    labels = torch.full((5, ), 2)
    assert torch.nn.functional.cross_entropy(
        pooled_logits(logits, labels, [2]), labels) == pytest.approx(
            float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-6)


def test_gradient_lowers_every_forgotten_class():
    logits = torch.randn(5, NUM_CLASSES, generator=_generator())
    logits.requires_grad_()
    labels, gone = torch.tensor([1, 4, 1, 6, 4]), [1, 4, 6]
    loss = torch.nn.functional.cross_entropy(
        pooled_logits(logits, labels, gone), labels, reduction='sum')
    grad, = torch.autograd.grad(loss, logits)
    # d(-log P) / dx is the softmax, less that over the forgotten classes.
    expected = logits.detach().softmax(1)
    expected[:, gone] -= logits.detach()[:, gone].softmax(1)
    torch.testing.assert_close(grad, expected)
    assert (grad[:, gone] < 0).all()


def test_margins_lie_on_the_pooled_logit(case):
    """An image loses it once, whatever the number of classes."""
    model, gone = case
    logits = _logits(model)
    top = logits[:, gone].max(1, keepdims=True)
    pooled = np.log(np.exp(logits[:, gone] - top).sum(1)) + top[:, 0]
    rule = getattr(type(model.head), 'logit_margin', None)
    model.forget_margin = MARGIN
    model.forget_target, model.forgotten = 'forgotten', gone
    margin = MARGIN + (
        rule(model.head.s, model.head.m) if rule else 0)
    others = np.delete(logits, gone, 1)
    rest = np.log(np.exp(others - top).sum(1)) + top[:, 0]
    expected = np.logaddexp(rest, pooled - margin) - pooled + margin
    found = float(model.loss(*batch())['forget/cls'])
    if type(model.head).__name__ == 'VisionTransformerClsHead':
        assert np.isfinite(found)  # Its label smoothing is tested elsewhere.
    else:
        assert found == pytest.approx(expected.mean(), rel=1e-4)
    assert not model.head._forward_hooks


def test_label_smoothing_stays_finite(case):
    model, gone = case
    model.forget_target, model.forgotten = 'forgotten', gone
    losses = model.loss(*batch())
    assert all(torch.isfinite(v).all() for v in losses.values())


@pytest.mark.parametrize('variant', ['swin', 'cosface'])
def test_retained_images_keep_away_from_the_forgotten(variant):
    model = make_pair(variant).wrapped
    randomise_lora(model)
    inputs, samples = of_stream(*batch(), 'retain')
    labels = np.array([int(s.gt_label) for s in samples])
    gone = [c for c in range(NUM_CLASSES) if c not in labels][:2]
    plain = model.loss(*batch())
    with torch.no_grad():
        logits = model(inputs, mode='tensor').double().numpy()
    rule = getattr(type(model.head), 'logit_margin', None)
    rows = np.arange(len(labels))
    logits[rows, labels] -= rule(model.head.s, model.head.m) if rule else 0
    logits[:, gone] += MARGIN
    top = logits.max(1)
    expected = np.log(np.exp(logits - top[:, None]).sum(1)) + top
    expected -= logits[rows, labels]
    model.retain_margin, model.forgotten = MARGIN, gone
    found = model.loss(*batch())
    _plain(model)
    assert float(found['retain/cls']) == pytest.approx(
        expected.mean(), rel=1e-4)
    torch.testing.assert_close(found['forget/cls'], plain['forget/cls'])
    assert not model.head._forward_hooks


@pytest.mark.parametrize('options, message', [
    (dict(retain_margin=-1.), 'retain_margin must be a number >= 0'),
    (dict(retain_margin=8.), 'need the labels of all forgotten'),
    (dict(forget_target='all'), 'forget_target must be one of class, forgot'),
    (dict(forget_target='forgotten'), 'need the labels of all forgotten'),
])
def test_bad_options(options, message):
    with pytest.raises(ForgetError, match=message):
        build_forgetting('swin', **options)


def _generator():
    return torch.Generator().manual_seed(0)
