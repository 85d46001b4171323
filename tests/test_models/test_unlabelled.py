"""What a teacher finds, and nobody labelled, is painted out as well."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from detr_toys import build_forgetting, plain_detector
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import nn

from gslora_mm.datasets import Painter
from gslora_mm.models import StreamOutputs
from gslora_mm.models.unlabelled import paint_unlabelled

HEIGHT, WIDTH, GONE, STAYS = 40, 60, 1, 0
MEAN, STD = torch.tensor([100., 120., 90.]), torch.tensor([50., 60., 55.])
HIGH, LOW = 3., -6.


def sample(*labelled):
    found = DetDataSample(metainfo=dict(img_shape=(HEIGHT, WIDTH)))
    found.gt_instances = InstanceData(
        labels=torch.tensor([label for label, _ in labelled]).long(),
        bboxes=torch.tensor([box for _, box in labelled]).reshape(-1, 4))
    return found


def said(*queries, sigmoid=True):
    """Of one image: label, box in pixels and logit of every query."""
    logits = torch.full((1, len(queries), 2 if sigmoid else 3), LOW)
    boxes = []
    for i, (label, (x1, y1, x2, y2), logit) in enumerate(queries):
        logits[0, i, label] = logit
        boxes.append([(x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT,
                      (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT])
    return StreamOutputs(
        logits, logits, boxes=torch.tensor([boxes]), sigmoid=sigmoid)


@pytest.fixture
def model():
    made = SimpleNamespace(
        forgotten=[GONE],
        method=SimpleNamespace(unlabelled=.5),
        painter=Painter('mean', margin=0.),
        data_preprocessor=nn.Module())
    made.data_preprocessor.register_buffer('mean', MEAN.view(-1, 1, 1))
    made.data_preprocessor.register_buffer('std', STD.view(-1, 1, 1))
    return made


def images(count=1):
    """Random ones, padded to the right and below."""
    pixels = torch.randint(
        256, (count, 3, HEIGHT, WIDTH),
        generator=torch.Generator().manual_seed(0)).float()
    made = torch.zeros(count, 3, HEIGHT + 8, WIDTH + 4)
    made[..., :HEIGHT, :WIDTH] = (pixels - MEAN.view(-1, 1, 1)) / STD.view(
        -1, 1, 1)
    return made


def check_painted(before, after, box):
    """All of a box is new, but for a pixel at its edges, and nothing else."""
    new = (before != after).any(0)
    x1, y1, x2, y2 = box
    assert new[y1:y2, x1:x2].all()
    new[y1 - 1:y2 + 1, x1 - 1:x2 + 1] = False
    assert not new.any()


BOX, OTHER = (8, 4, 20, 16), (30, 10, 50, 30)


def test_what_is_found_is_painted_and_nothing_else(model):
    before = images()
    after, found = paint_unlabelled(
        model, before, [sample((STAYS, OTHER))],
        said((GONE, BOX, HIGH), (STAYS, OTHER, HIGH), (GONE, OTHER, -1.)))
    check_painted(before[0], after[0], BOX)
    # As shares of the padded image.
    sides = torch.tensor([WIDTH + 4, HEIGHT + 8]).repeat(2)
    torch.testing.assert_close(found[0, 0] * sides, torch.tensor(BOX).float())
    assert found.shape == (1, 3, 4) and found[0, 1:].isnan().all()
    # By the painter, in the units of an image.
    pixels = before[0] * STD.view(-1, 1, 1) + MEAN.view(-1, 1, 1)
    pixels = pixels[:, :HEIGHT, :WIDTH].permute(1, 2, 0)
    wanted = model.painter(pixels.numpy(), [BOX], 0, [OTHER])
    found = after[0] * STD.view(-1, 1, 1) + MEAN.view(-1, 1, 1)
    found = found[:, :HEIGHT, :WIDTH].permute(1, 2, 0).numpy()
    x1, y1, x2, y2 = BOX
    np.testing.assert_allclose(
        found[y1:y2, x1:x2], wanted[y1:y2, x1:x2], atol=8.)


@pytest.mark.parametrize(
    'queries',
    [
        [],
        [(GONE, BOX, -.1)],  # below the score
        [(STAYS, BOX, HIGH)],
        # The same place is seen as something that stays.
        [(GONE, BOX, 1.), (STAYS, (8, 4, 20, 15), .5)],
        [(GONE, OTHER, HIGH)],  # labelled as what stays
    ])
def test_what_is_left(model, queries):
    queries = [*queries, (STAYS, OTHER, LOW)]
    before = images()
    after, found = paint_unlabelled(model, before, [sample((STAYS, OTHER))],
                                    said(*queries))
    assert after is before and found.isnan().all()


def test_background_of_a_softmax_is_no_object(model):
    before = images()
    found = said((2, BOX, HIGH), (GONE, OTHER, HIGH), sigmoid=False)
    after, _ = paint_unlabelled(model, before, [sample()], found)
    check_painted(before[0], after[0], OTHER)


def test_only_images_with_finds_change(model):
    before = images(2)
    one, other = said((STAYS, BOX, HIGH)), said((GONE, BOX, HIGH))
    both = StreamOutputs(
        torch.cat([one.logits, other.logits]),
        torch.cat([one.logits, other.logits]),
        boxes=torch.cat([one.boxes, other.boxes]),
        sigmoid=True)
    after, found = paint_unlabelled(model, before, [sample(), sample()], both)
    assert found[0].isnan().all() and found[1].isfinite().all()
    assert torch.equal(after[0], before[0])
    check_painted(before[1], after[1], BOX)


@pytest.mark.parametrize('megabytes', [0, 100])
def test_the_teacher_looks_again(megabytes, monkeypatch):
    """It says of a batch what the plain model says of the cleaned images."""
    from detr_toys import batch
    plain = plain_detector('ddetr_refine').requires_grad_(False)
    method = dict(
        type='CounterfactualTeacher', unlabelled=1e-4, teacher_cache=megabytes)
    model = build_forgetting(
        'ddetr_refine',
        method=method,
        forgotten=[0, 1],
        painting=dict(margin=1.))
    assert model.painter.margin == 1.
    for one in (model, model.teacher):
        one.load_state_dict(plain.state_dict(), strict=False)
    model.method.begin(model, {})
    inputs, samples = batch()
    with torch.no_grad():
        first = model.teacher._look(inputs, samples)[0]
        cleaned, found = paint_unlabelled(
            model, inputs, samples,
            model.teacher._outputs(first, samples, match=False))
        wanted = model.teacher._look(cleaned, samples)[0]['scores'][-1]
    assert not torch.equal(cleaned, inputs)
    seen = {}
    monkeypatch.setattr(
        model.method, 'losses', lambda forget, retain, groups: seen.update(
            forget=forget, retain=retain) or {})
    log = model.loss(inputs, samples)
    again = (cleaned != inputs).flatten(1).any(1)
    # Of the images of both streams.
    told = [i for i, s in enumerate(samples) if model._counts(s, s.stream)]
    assert float(log['teacher/unlabelled']) == pytest.approx(
        float(again[told].float().mean()))
    for stream in ('forget', 'retain'):
        index = [
            i for i, s in enumerate(samples)
            if s.metainfo['stream'] == stream and len(s.gt_instances.bboxes)
        ]
        torch.testing.assert_close(
            seen[stream].teacher.logits[:len(index)],
            wanted[index],
            rtol=1e-4,
            atol=1e-5)
        torch.testing.assert_close(
            seen[stream].teacher.found[:len(index)],
            found[index],
            rtol=1e-4,
            atol=1e-5,
            equal_nan=True)
