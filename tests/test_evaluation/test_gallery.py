import json
import math

import numpy as np
import pytest
from test_request_table import FakeRequest

from gslora_mm.evaluation import (class_sets_for_requests, enroll,
                                  gallery_metrics, gallery_report, rank1,
                                  tar_at_far)
from gslora_mm.utils import ForgetError

CLASSES = tuple('abcdefgh')
REQUESTS = [
    FakeRequest(1, ('c', 'a'), (), ('b', 'd', 'e', 'f', 'g', 'h')),
    FakeRequest(2, ('f', ), ('c', 'a'), ('b', 'd', 'e', 'g', 'h')),
]
SETS = class_sets_for_requests(REQUESTS)
FAR = .02


def make_embeddings(seed=0, each=9, noise=1.2, skip=()):
    """Clusters around fixed centres; lengths differ."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(len(CLASSES), 6))
    labels = np.repeat(np.arange(len(CLASSES)), each)
    labels = rng.permutation(labels[~np.isin(labels, skip)])
    vectors = centres[labels] + noise * rng.normal(size=(len(labels), 6))
    return vectors * rng.uniform(.1, 10, (len(labels), 1)), labels


def cosine(x, y):
    return sum(a * b for a, b in zip(x, y)) / math.sqrt(sum(
        a * a for a in x)) / math.sqrt(sum(b * b for b in y))


def by_hand(gallery, probes, members, retain, far):
    """Rank-1 and TAR at FAR by loops over images and operating points."""
    templates = {}
    for label in sorted(set(gallery[1])):
        own = [x / math.sqrt((x * x).sum())
               for x, y in zip(*gallery) if y == label]  # yapf: disable
        templates[label] = sum(own) / len(own)
    known = [(x, y) for x, y in zip(*probes) if y in templates]
    inside = [(x, y) for x, y in known if CLASSES[y] in members]
    hits = [
        max(templates, key=lambda t: cosine(x, templates[t])) == y
        for x, y in inside
    ]
    genuine = [cosine(x, templates[y]) for x, y in inside]
    impostor = [
        cosine(x, t) for x, y in known for label, t in templates.items()
        if CLASSES[y] in retain and CLASSES[label] in retain and label != y
    ]
    return hits, genuine, best_tar(genuine, impostor, far)


def best_tar(genuine, impostor, far):
    """The best rate of all operating points of the ROC."""
    return max([0.] + [
        sum(g >= t for g in genuine) / len(genuine)
        for t in {*genuine, *impostor}
        if sum(i >= t for i in impostor) / len(impostor) <= far
    ])


def test_templates_are_mean_directions():
    vectors, labels = make_embeddings()
    templates, names = enroll(vectors, labels)
    assert names.tolist() == list(range(8))
    assert np.linalg.norm(templates, axis=1) == pytest.approx(1, abs=1e-12)
    unit = vectors / np.sqrt((vectors**2).sum(1, keepdims=True))
    mean = unit[labels == 3].mean(0)
    assert cosine(templates[3], mean) == pytest.approx(1, abs=1e-12)
    again, _ = enroll(vectors * 1e3, labels)
    assert again == pytest.approx(templates, abs=1e-12)


@pytest.mark.parametrize('seed', range(3))
def test_equals_loops(seed):
    gallery, probes = make_embeddings(seed), make_embeddings(seed + 10)
    report = gallery_report(*gallery, *probes, CLASSES, SETS, FAR)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert set(report['sets']) == set(SETS) and report['far'] == FAR
    for name, members in dict(SETS, all=CLASSES).items():
        retain = SETS.get(f'{name[:2]}_retain', CLASSES)
        hits, genuine, tar = by_hand(gallery, probes, members, retain, FAR)
        content = dict(report['sets'], all=report['all'])[name]
        assert content['classes'] == list(members)
        values = content['new_templates']
        assert 'old_templates' not in content
        assert values['rank1'] == pytest.approx(
            sum(hits) / len(hits), abs=1e-12)
        assert values['tar'] == pytest.approx(tar, abs=1e-12)
        assert values['num_probes'] == len(hits) == 9 * len(members)
        assert values['chance'] == 1 / 8 and values['not_enrolled'] == 0
        for member in members:
            alone, *_ = by_hand(gallery, probes, [member], retain, FAR)
            assert values['per_class'][member] == pytest.approx(
                sum(alone) / 9, abs=1e-12)


def test_case_is_not_trivial():
    report = gallery_report(*make_embeddings(), *make_embeddings(1), CLASSES,
                            SETS, FAR)
    values = report['sets']['01_retain']['new_templates']
    assert .2 < values['tar'] < values['rank1'] < 1
    # The threshold is that of the request's own retained identities.
    thresholds = {
        k: v['new_templates']['threshold']
        for k, v in report['sets'].items()
    }
    assert thresholds['01_forget'] == thresholds['01_retain']
    assert thresholds['02_old'] == thresholds['02_retain']
    assert thresholds['01_retain'] != thresholds['02_retain']


def test_forgetting_does_not_move_the_yardstick():
    """Impostor pairs with forgotten identities count for nothing."""
    gallery, probes = make_embeddings(), make_embeddings(1)
    gone = [CLASSES.index(c) for c in SETS['01_forget']]
    merged = []
    for vectors, labels in (gallery, probes):
        vectors = vectors.copy()
        vectors[np.isin(labels, gone)] = vectors[labels == 1][0]
        merged.append((vectors, labels))
    before = gallery_report(*gallery, *probes, CLASSES, SETS, FAR)
    after = gallery_report(*merged[0], *merged[1], CLASSES, SETS, FAR)
    kept = [r['sets']['01_retain']['new_templates'] for r in (before, after)]
    assert kept[0]['threshold'] == kept[1]['threshold']
    assert kept[0]['tar'] == kept[1]['tar']


@pytest.mark.parametrize('far', [.01, .03, .1, .29, .5])
@pytest.mark.parametrize('ties', [False, True])
def test_tar_is_the_best_of_all_operating_points(far, ties):
    rng = np.random.default_rng(int(far * 100))
    genuine, impostor = rng.normal(.8, 1, 70), rng.normal(0, 1, 100)
    if ties:
        genuine, impostor = genuine.round(1), impostor.round(1)
    tar = tar_at_far(genuine, impostor, far)
    assert tar == pytest.approx(best_tar(genuine, impostor, far), abs=1e-12)
    assert 0 < tar < 1


def test_far_is_not_lost_to_rounding():
    ranks = np.arange(100.)
    assert .29 * 100 < 29
    assert tar_at_far(ranks + .5, ranks, .29) == .3


def test_far_that_the_pairs_cannot_show():
    genuine = np.linspace(.5, 1, 10)
    assert tar_at_far(genuine, np.zeros(99), .01) is None
    assert tar_at_far(genuine, np.zeros(100), .01) == 1.
    assert tar_at_far([], np.zeros(100), .01) is None
    assert tar_at_far(genuine, [], .01) is None
    for far in (0, 1, -1, 1.5, math.nan):
        with pytest.raises(ForgetError, match='far='):
            tar_at_far(genuine, np.zeros(100), far)
    report = gallery_report(*make_embeddings(), *make_embeddings(1), CLASSES,
                            SETS, 1e-3)
    values = report['sets']['01_retain']['new_templates']
    assert values['tar'] is None and values['threshold'] is None
    assert values['rank1'] > 0


def test_old_and_new_templates():
    """A rotated embedding space: who enrols again finds everybody."""
    gallery, probes = make_embeddings(noise=.1), make_embeddings(1, noise=.1)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(6, 6)))[0]
    gallery_now, probes_now = (gallery[0] @ turn, probes[0] @ turn)
    old = enroll(*gallery)
    report = gallery_report(
        gallery_now, gallery[1], probes_now, probes[1], CLASSES, SETS, FAR,
        templates=old)  # yapf: disable
    values = report['all']
    assert values['new_templates']['rank1'] == 1.
    assert values['old_templates']['rank1'] == rank1(*old, probes_now,
                                                     probes[1]).mean() < .7
    alone = gallery_report(None, None, probes_now, probes[1], CLASSES, SETS,
                           FAR, old)
    assert 'new_templates' not in alone['all']
    assert alone['sets']['02_forget']['old_templates'] == report['sets'][
        '02_forget']['old_templates']
    same = gallery_report(*gallery, *probes, CLASSES, SETS, FAR, old)['all']
    assert same['new_templates'] == same['old_templates']


def test_identity_without_gallery_images():
    skipped = CLASSES.index('c')
    gallery, probes = make_embeddings(skip=[skipped]), make_embeddings(1)
    report = gallery_report(*gallery, *probes, CLASSES, SETS, FAR)
    values = report['sets']['01_forget']['new_templates']
    assert values['not_enrolled'] == 1 and values['num_probes'] == 9
    assert values['chance'] == 1 / 7
    assert values['per_class']['c'] is None
    assert values['rank1'] == values['per_class']['a']
    hits, _, tar = by_hand(gallery, probes, ['c', 'a'], SETS['01_retain'], FAR)
    assert values['rank1'] == sum(hits) / 9 and values['tar'] == tar
    assert not rank1(*enroll(*gallery), *probes)[probes[1] == skipped].any()
    nobody = gallery_report(*make_embeddings(skip=range(8)), *probes, CLASSES,
                            SETS, FAR)
    values = nobody['all']['new_templates']
    assert values['rank1'] is values['chance'] is values['tar'] is None
    assert values['not_enrolled'] == 8 and values['num_probes'] == 0


def test_metrics_of_a_request():
    reports = [
        gallery_report(*make_embeddings(noise=n),
                       *make_embeddings(1, 9, n), CLASSES, SETS, FAR,
                       enroll(*make_embeddings())) for n in (.6, 1., 1.5)
    ]
    base, before, after = reports
    metrics = gallery_metrics(base, before, after, 2)

    def of(report, name, key='rank1', kind='new_templates'):
        return report['sets'][name][kind][key]

    assert metrics['rank1_f'] == of(after, '02_forget')
    assert metrics['rank1_r_before'] == of(before, '02_retain')
    assert metrics['rank1_o_base'] == of(base, '02_old')
    assert metrics['tar_r'] == of(after, '02_retain', 'tar')
    assert metrics['tar_r_base'] == of(base, '02_retain', 'tar')
    assert metrics['rank1_f_old_templates'] == of(after, '02_forget', 'rank1',
                                                  'old_templates')
    assert metrics['num_probes_r'] == 45
    assert metrics['far'] == FAR and metrics['chance'] == 1 / 8
    assert set(metrics['per_class']) == set(CLASSES)
    first = gallery_metrics(base, base, after, 1)
    assert first['rank1_o'] is first['rank1_o_old_templates'] is None
    assert first['rank1_f_before'] == first['rank1_f_base']
    assert not any('_m' in key for key in first)
    json.dumps(first, allow_nan=False)
    with pytest.raises(ForgetError, match="'03_forget'.*gallery_report.json"):
        gallery_metrics(base, before, after, 3)


def test_unseen_identities_have_numbers():
    sets = class_sets_for_requests(REQUESTS, ['b', 'e'])
    report = gallery_report(*make_embeddings(), *make_embeddings(1), CLASSES,
                            sets, FAR)
    metrics = gallery_metrics(report, report, report, 1)
    assert metrics['rank1_m'] == report['sets']['01_unseen']['new_templates'][
        'rank1']
    assert metrics['num_probes_m'] == 18


@pytest.mark.parametrize('value', [0., math.nan, math.inf])
def test_broken_embeddings(value):
    good, broken = make_embeddings(), make_embeddings(1)
    broken[0][4] = value
    with pytest.raises(ForgetError, match='gallery embedding 4 is'):
        gallery_report(*broken, *good, CLASSES, SETS)
    with pytest.raises(ForgetError, match='probe embedding 4 is'):
        gallery_report(*good, *broken, CLASSES, SETS)
    with pytest.raises(ForgetError, match='template embedding 4 is'):
        gallery_report(*good, *good, CLASSES, SETS, templates=broken)
    with pytest.raises(ForgetError, match='gallery embedding 4'):
        enroll(*broken)


def test_bad_input():
    vectors, labels = make_embeddings()
    with pytest.raises(ForgetError, match='identity 2 cancel'):
        enroll([[1, 0], [0, 1], [-2, 0]], [2, 1, 2])
    with pytest.raises(ForgetError, match='outside of the 7 classes'):
        gallery_report(vectors, labels, vectors, labels, CLASSES[:7], {})
    with pytest.raises(ForgetError, match='of 5 numbers, templates of 6'):
        gallery_report(vectors, labels, vectors[:, :5], labels, CLASSES, {})
    with pytest.raises(ForgetError, match='do not fit'):
        gallery_report(vectors, labels[1:], vectors, labels, CLASSES, {})
    with pytest.raises(ForgetError, match='neither'):
        gallery_report(None, None, vectors, labels, CLASSES, {})
    with pytest.raises(ForgetError, match="'y'.*unknown class 'z'"):
        gallery_report(vectors, labels, vectors, labels, CLASSES,
                       dict(y=['z']))
