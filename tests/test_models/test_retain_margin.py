"""The margin between retained images and forgotten classes, in numpy."""
import numpy as np
import pytest
import torch
from vit_toys import (NUM_CLASSES, batch, build_forgetting, make_pair,
                      of_stream, randomise_lora)

from gslora_mm.utils import ForgetError

MARGIN = 3.


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
    model.retain_margin, model.forgotten = 0., []
    assert float(found['retain/cls']) == pytest.approx(
        expected.mean(), rel=1e-4)
    # The forget images are none of its business, nor is inference.
    torch.testing.assert_close(found['forget/cls'], plain['forget/cls'])
    assert not model.head._forward_hooks


@pytest.mark.parametrize('options, message', [
    (dict(retain_margin=-1.), 'retain_margin must be a number >= 0'),
    (dict(retain_margin='8'), 'retain_margin must be a number >= 0'),
    (dict(retain_margin=8.), 'needs the labels of all forgotten classes'),
])
def test_bad_options(options, message):
    with pytest.raises(ForgetError, match=message):
        build_forgetting('swin', **options)
