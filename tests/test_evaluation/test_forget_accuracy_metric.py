import json
import math
import pickle

import pytest
import torch
from classifier_toys import (CLASSES, MARGIN, SETS, make_logits, make_samples,
                             run_metric)
from mmengine.evaluator import Evaluator
from mmpretrain.evaluation import Accuracy
from mmpretrain.structures import DataSample

from gslora_mm.evaluation import ForgetAccuracyMetric
from gslora_mm.registry import METRICS
from gslora_mm.utils import ForgetError

ALL_SETS = dict(SETS, all=CLASSES)


def share(hits):
    hits = list(hits)
    return sum(hits) / len(hits) if hits else None


def is_hit(logits, label, margin=0., top=1):
    """Whether the label is among the top logits after the margin."""
    values = [float(v) for v in logits]
    values[label] -= margin
    order = sorted(range(len(values)), key=lambda c: (-values[c], c))
    return label in order[:top]


def sets_of(metric):
    return dict(metric.report['sets'], all=metric.report['all'])


@pytest.mark.parametrize('seed', range(3))
def test_equals_mmpretrain_on_filtered_samples(seed):
    samples = make_samples(*make_logits(seed))
    metric, flat = run_metric(samples)
    for name, content in sets_of(metric).items():
        labels = [CLASSES.index(c) for c in ALL_SETS[name]]
        kept = [s for s in samples if int(s['gt_label']) in labels]
        assert content['num_images'] == len(kept)
        if not kept:
            continue
        plain = Accuracy(topk=(1, 5))
        plain.process({}, kept)
        truth = plain.evaluate(len(kept))
        for key, name_there in (('Acc', 'top1'), ('Acc5', 'top5')):
            # mmpretrain counts in float32 and per cent.
            count = truth[f'accuracy/{name_there}'] * len(kept) / 100
            assert count == pytest.approx(round(count), abs=1e-3)
            exact = round(count) / len(kept)
            assert content['top1'][key] == pytest.approx(exact, abs=1e-12)
            assert flat[f'top1/{key}_{name}'] == content['top1'][key]


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('protocol, margin', [('top1', 0.),
                                              ('margin', MARGIN)])
def test_equals_counting_by_hand(seed, protocol, margin):
    logits, labels = make_logits(seed)
    metric, flat = run_metric(make_samples(logits, labels), margin=MARGIN)
    for name, content in sets_of(metric).items():
        values = content[protocol]
        assert list(values['per_class']) == list(ALL_SETS[name])
        for key, top in (('Acc', 1), ('Acc5', 5)):
            hits = {
                c: [
                    is_hit(z, y, margin, top)
                    for z, y in zip(logits, labels.tolist())
                    if y == CLASSES.index(c)
                ]
                for c in ALL_SETS[name]
            }
            truth = share(h for part in hits.values() for h in part)
            assert values[key] == truth
            detail = 'per_class' if top == 1 else 'per_class_Acc5'
            assert values[detail] == {c: share(h) for c, h in hits.items()}
            value = flat[f'{protocol}/{key}_{name}']
            assert math.isnan(value) if truth is None else value == truth


def test_case_is_not_trivial():
    metric, _ = run_metric(make_samples(*make_logits()), margin=MARGIN)
    content = metric.report['sets']['01_forget']
    top1, margin = content['top1'], content['margin']
    assert 0 < margin['Acc'] < top1['Acc'] < top1['Acc5'] < 1
    # Micro: images count alike, classes do not.
    assert abs(top1['Acc'] - sum(top1['per_class'].values()) / 2) > .001


@pytest.mark.parametrize('gap, hit', [(22.3, False), (22.5, True), (85., True),
                                      (300., True)])
def test_margin_of_confident_models(gap, hit):
    """Other scores underflow from a gap of about 100 on."""
    logits = torch.zeros(1, 8)
    logits[0, 3] = gap
    metric, _ = run_metric(
        make_samples(logits, torch.tensor([3])), margin=MARGIN)
    assert metric.report['all']['margin']['Acc'] == float(hit)
    assert metric.report['all']['top1']['Acc'] == 1.
    wrong = make_samples(logits, torch.tensor([0]))
    metric, flat = run_metric(wrong, margin=MARGIN)
    assert flat['margin/Acc_all'] == flat['top1/Acc_all'] == 0.
    # An underflowed score is not among the five highest, as in mmpretrain.
    assert flat['top1/Acc5_all'] == float(gap < 100)


def test_margin_decides_like_explicit_cosine_logits():
    """A CosFace head with known labels, in float64."""
    generator = torch.Generator().manual_seed(0)
    cosines = torch.rand(500, 8, generator=generator) * 1.4 - .7
    labels = torch.randint(8, (500, ), generator=generator)
    cosines[range(500), labels] += .5
    shifted = cosines.double() * 64
    shifted[range(500), labels] -= 64 * .35
    truth = (shifted.argmax(1) == labels).double().mean().item()
    _, flat = run_metric(make_samples(cosines * 64, labels), margin=64 * .35)
    assert flat['margin/Acc_all'] == pytest.approx(truth, abs=1e-12)
    assert .1 < truth < flat['top1/Acc_all'] - .1


def test_margin_is_finer_than_float32():
    """A float32 logarithm is off by 1e-6 here, float32 scores by 1e-7."""
    for k in range(20):
        margin = 16.1 + k
        for extra, hit in ((4e-7, 1.), (-4e-7, 0.)):
            scores = torch.zeros(8)
            scores[3], scores[5] = 1, math.exp(-margin - extra)
            samples = changed(gt_label=torch.tensor([3]), pred_score=scores)
            _, flat = run_metric(samples, margin=margin)
            assert flat['margin/Acc_all'] == hit


def test_ties_are_broken_like_argmax():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randint(0, 2, (200, 8), generator=generator).float()
    labels = torch.randint(8, (200, ), generator=generator)
    samples = make_samples(logits, labels)
    _, flat = run_metric(samples, margin=0.)
    truth = share(int(s['pred_label']) == int(s['gt_label']) for s in samples)
    assert flat['top1/Acc_all'] == flat['margin/Acc_all'] == truth
    assert truth != share(z[y] == z.max() for z, y in zip(logits, labels))


def test_report_is_json_and_keys_are_complete():
    for margin, protocols in ((None, ['top1']), (MARGIN, ['top1', 'margin'])):
        metric, flat = run_metric(make_samples(*make_logits()), margin=margin)
        report = json.loads(json.dumps(metric.report, allow_nan=False))
        assert report == metric.report
        assert set(flat) == {
            f'{p}/{k}_{s}'
            for p in protocols
            for k in ('Acc', 'Acc5')
            for s in ALL_SETS
        }
        assert all(type(v) is float for v in flat.values())
        assert set(report['all']) == {'classes', 'num_images', *protocols}
        assert report['sets']['absent']['top1']['Acc'] is None
        assert report['sets']['absent']['top1']['per_class'] == {'ivy': None}
        assert report['sets']['empty']['top1']['Acc5'] is None
        assert report['sets']['empty']['num_images'] == 0


@pytest.mark.parametrize('count', [5, 6])
def test_five_of_five_is_no_number(count):
    logits, labels = torch.eye(count), torch.arange(count)
    metric, flat = run_metric(
        make_samples(logits, labels), {}, CLASSES[:count])
    assert ('top1/Acc5_all' in flat) == (count == 6)
    assert ('Acc5' in metric.report['all']['top1']) == (count == 6)
    assert flat['top1/Acc_all'] == 1.


def test_two_classes_of_one_name():
    """As ImageNet's cranes, the bird and the machine."""
    classes = ('crane', 'ibis', 'crane', 'winch')
    logits = torch.eye(4)[[0, 2, 0, 3]]
    samples = make_samples(logits, torch.tensor([0, 2, 2, 3]))
    metric, _ = run_metric(samples, dict(x=['crane']), classes)
    content = metric.report['sets']['x']
    assert content['num_images'] == 3
    assert content['top1']['Acc'] == pytest.approx(2 / 3, abs=1e-12)
    assert metric.report['all']['num_images'] == 4
    assert metric.report['all']['top1']['Acc'] == .75


def test_through_the_evaluator_and_the_registry():
    logits, labels = make_logits()
    _, expected = run_metric(make_samples(logits, labels), margin=MARGIN)
    metric = METRICS.build(
        dict(
            type='gslora_mm.ForgetAccuracyMetric',
            class_sets=SETS,
            margin=MARGIN))
    evaluator = Evaluator(metrics=[metric])
    evaluator.dataset_meta = dict(classes=CLASSES)
    for _ in range(2):  # a second pass starts from nothing
        for z, y in zip(logits, labels):
            evaluator.process([
                DataSample().set_gt_label(int(y)).set_pred_score(z.softmax(0))
            ])
        assert evaluator.evaluate(len(labels)) == pytest.approx(
            expected, abs=0, nan_ok=True)


def test_distributed_collection(monkeypatch):
    """Two ranks; the second saw the first images again as padding."""
    samples = make_samples(*make_logits(images=21))
    _, expected = run_metric(samples, margin=MARGIN)
    ranks = []
    for part in (samples[0::2], samples[1::2] + samples[:1]):
        rank = ForgetAccuracyMetric(class_sets=SETS, margin=MARGIN)
        rank.dataset_meta = dict(classes=CLASSES)
        rank.process({}, part)
        ranks.append(rank)
    assert len(pickle.dumps(ranks[0].results)) < 20 * len(ranks[0].results)

    def collect(results, size, *args, **kwargs):
        parts = [pickle.loads(pickle.dumps(r.results)) for r in ranks]
        return [item for pair in zip(*parts) for item in pair][:size]

    monkeypatch.setattr('mmengine.evaluator.metric.collect_results', collect)
    assert ranks[0].evaluate(21) == pytest.approx(expected, abs=0, nan_ok=True)


def test_without_images():
    metric, flat = run_metric([], margin=1.)
    assert all(math.isnan(v) for v in flat.values())
    assert metric.report['all']['margin']['per_class']['oak'] is None


def changed(**fields):
    item = make_samples(*make_logits(images=1))[0]
    item.update(fields)
    return [{k: v for k, v in item.items() if v is not None}]


@pytest.mark.parametrize('fields, message', [
    (dict(gt_label=None), '0.jpg has no gt_label'),
    (dict(gt_label=None, gt_score=torch.eye(8)[0]), 'no gt_label'),
    (dict(gt_label=torch.tensor([1, 2])), '0.jpg has 2 labels'),
    (dict(gt_label=torch.tensor([], dtype=torch.long)), 'has 0 labels'),
    (dict(gt_label=torch.tensor([8])), 'label 8, but.*8 classes'),
    (dict(gt_label=torch.tensor([-1])), 'label -1'),
    (dict(pred_score=None), 'no pred_score'),
    (dict(pred_score=torch.rand(1000)), 'scores 1000 classes.*has 8'),
    (dict(pred_score=torch.full((8, ), math.nan)), '0.jpg are not finite'),
    (dict(pred_score=torch.linspace(-3, 4, 8)), 'no probabilities'),
])
def test_bad_samples(fields, message):
    with pytest.raises(ForgetError, match=message):
        run_metric(changed(**fields))


def test_bad_options():
    for sets in (dict(all=['oak']), dict(x='oak')):
        with pytest.raises(ForgetError, match='list of class names'):
            ForgetAccuracyMetric(class_sets=sets)
    for margin in (-1., '22.4', math.nan, math.inf, True):
        with pytest.raises(ForgetError, match='margin='):
            ForgetAccuracyMetric(margin=margin)
    metric = ForgetAccuracyMetric(class_sets=dict(x=['oak', 'fgi']))
    with pytest.raises(ForgetError, match="'x'.*'fgi'.*'fig'"):
        metric.dataset_meta = dict(classes=CLASSES)
    for meta in (None, {}, dict(classes=None)):
        with pytest.raises(ForgetError, match='metainfo.classes'):
            ForgetAccuracyMetric().dataset_meta = meta


def test_margin_beyond_the_precision_of_the_scores():
    scores = torch.eye(8, dtype=torch.float16)[0]
    for fields, margin in ((dict(pred_score=scores), MARGIN), ({}, 90.)):
        with pytest.raises(ForgetError, match='float(16|32) resolve'):
            run_metric(changed(**fields), margin=margin)
    run_metric(changed(pred_score=scores))
