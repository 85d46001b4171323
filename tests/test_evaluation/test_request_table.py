import json
from dataclasses import dataclass

import pytest
from coco_toys import (CLASSES, make_samples, make_truth, run_metric,
                       write_truth)

from gslora_mm.evaluation import (class_sets_for_requests, format_table,
                                  h_mean, request_metrics, to_csv_rows)
from gslora_mm.utils import ForgetError


@dataclass
class FakeRequest:
    index: int
    classes: tuple
    forgotten: tuple
    retain: tuple


REQUESTS = [
    FakeRequest(1, ('cat', ), (), ('ant', 'bee', 'dog', 'eel', 'fox')),
    FakeRequest(2, ('ant', 'fox'), ('cat', ), ('bee', 'dog', 'eel')),
    FakeRequest(3, ('eel', ), ('cat', 'ant', 'fox'), ('bee', 'dog')),
]


@pytest.fixture(scope='module')
def reports(tmp_path_factory):
    """Reports of three 'models', each worse than the one before."""
    content = make_truth()
    path = write_truth(tmp_path_factory.mktemp('coco'), content)
    sets = class_sets_for_requests(REQUESTS)
    return [
        run_metric(path, make_samples(content, 3, noise), sets)[0].report
        for noise in (1., 5., 9.)
    ]


def test_class_sets():
    assert class_sets_for_requests(REQUESTS[:2]) == {
        '01_forget': ['cat'],
        '01_retain': ['ant', 'bee', 'dog', 'eel', 'fox'],
        '02_forget': ['ant', 'fox'],
        '02_retain': ['bee', 'dog', 'eel'],
        '02_old': ['cat'],
    }


@pytest.mark.parametrize('protocol', ['paper', 'coco'])
def test_metrics(reports, protocol):
    base, before, after = reports
    metrics = request_metrics(base, before, after, 2)
    assert set(metrics) == {'paper', 'coco'}
    metrics = metrics[protocol]

    def of(report, name, key='AP'):
        return report['sets'][name][protocol][key]

    assert metrics['AP_f'] == of(after, '02_forget')
    assert metrics['AP_r'] == of(after, '02_retain')
    assert metrics['AP_o'] == of(after, '02_old')
    assert metrics['AP50_f'] == of(after, '02_forget', 'AP50')
    assert metrics['AP50_r'] == of(after, '02_retain', 'AP50')
    assert metrics['AP50_o'] == of(after, '02_old', 'AP50')
    assert metrics['AP_f_before'] == of(before, '02_forget')
    assert metrics['AP_r_before'] == of(before, '02_retain')
    assert metrics['AP_f_base'] == of(base, '02_forget')
    assert metrics['AP_r_base'] == of(base, '02_retain')
    assert metrics['AP_o_base'] == of(base, '02_old')
    assert metrics['retention'] == metrics['AP_r'] / metrics['AP_r_base']
    drop = metrics['AP_f_base'] - metrics['AP_f']
    assert drop > 0
    assert metrics['H'] == h_mean(metrics['AP_r'], metrics['AP_f_base'],
                                  metrics['AP_f'])
    # Against the base, not against the model right before.
    assert metrics['H'] != h_mean(metrics['AP_r'], metrics['AP_f_before'],
                                  metrics['AP_f'])
    assert set(metrics['per_class']) == set(CLASSES)
    assert metrics['per_class']['cat'] == of(after, '02_old',
                                             'per_class')['cat']
    assert metrics['per_class']['fox'] is None


def test_first_request_has_no_old_classes(reports):
    metrics = request_metrics(reports[0], reports[0], reports[1], 1)
    for protocol in ('paper', 'coco'):
        assert metrics[protocol]['AP_o'] is None
        assert metrics[protocol]['AP50_o'] is None
        assert metrics[protocol]['AP_o_base'] is None
        assert set(metrics[protocol]['per_class']) == set(CLASSES)
        assert metrics[protocol]['AP_f_before'] == metrics[protocol][
            'AP_f_base']


def test_nothing_changed_gives_zero(reports):
    metrics = request_metrics(reports[0], reports[0], reports[0], 1)
    assert metrics['coco']['H'] == 0.
    assert metrics['coco']['retention'] == 1.


def test_set_without_truth_is_none(reports):
    metrics = request_metrics(*reports, 3)
    for protocol in ('paper', 'coco'):
        assert metrics[protocol]['AP_f'] is None
        assert metrics[protocol]['H'] is None
    json.dumps(metrics, allow_nan=False)


def test_missing_set_is_named(reports):
    for index in (4, 10):
        with pytest.raises(ForgetError, match=f"'{index:02d}_forget'"):
            request_metrics(*reports, index)


def make_rows(reports):
    return [
        dict(
            request=r.index,
            classes=list(r.classes),
            zero_groups='3/6',
            seconds=12.6,
            adapter_bytes=1000,
            **request_metrics(*reports, r.index)) for r in REQUESTS
    ]


def test_table(reports):
    rows = make_rows(reports)
    rows[1]['classes'] = ['[red]', ':cat:', 'x' * 30, 'last']
    text = format_table(rows, title='the title')
    lines = text.splitlines()
    assert lines[0] == 'the title'
    assert max(map(len, lines)) <= 110
    assert text.isascii() and '\x1b' not in text
    assert sum(' -> ' in line for line in lines) == 1 + 2 * len(rows)
    assert '[red], :cat: +2' in text
    paper = rows[1]['paper']
    line = next(x for x in lines if '[red]' in x)
    for part in (f'{paper["AP_f_before"]:.3f} -> {paper["AP_f"]:.3f}',
                 f'{paper["AP_r_before"]:.3f} ({paper["AP_r_base"]:.3f}) -> '
                 f'{paper["AP_r"]:.3f}', f'{paper["AP_o"]:.3f}',
                 f'{paper["H"]:.3f}', '3/6', '13'):
        assert part in line


def test_table_without_extras_or_rows(reports):
    rows = make_rows(reports)
    for row in rows:
        del row['zero_groups'], row['seconds']
    text = format_table(rows)
    assert 'zero' not in text and 'AP_o' in text
    assert 'AP_f' in format_table([])
    rows[0]['classes'] = ['x' * 40, 'y']
    assert 'x' * 13 + '.. +1' in format_table(rows)


def test_table_of_detectors_is_the_known_one():
    """Character by character, as in the README."""

    def values(*numbers):
        keys = ('AP_f_before', 'AP_f', 'AP_r_before', 'AP_r_base', 'AP_r',
                'AP_o', 'H')
        return dict(zip(keys, numbers))

    rows = [
        dict(
            request=1, classes=['star', 'ring', 'heart'],
            paper=values(.877, 0., .865, .865, .861, None, .869),
            coco=values(.876, 0., .865, .865, .861, None, .868),
            zero_groups='4/6', seconds=73.2),
        dict(
            request=2, classes=['square', 'arrow', 'moon'],
            paper=values(.857, 0., .862, .867, .861, 0., .86),
            coco=values(.856, 0., .862, .867, .861, 0., .86),
            zero_groups='4/6', seconds=61.9)
    ]  # yapf: disable
    rule = '-' * 104
    assert format_table(rows, 'base model').splitlines() == [
        'base model', '#  classes            protocol  AP_f            '
        'AP_r before (base) -> after  AP_o   H      zero  seconds', rule,
        '1  star, ring, heart  paper     0.877 -> 0.000  '
        '0.865 (0.865) -> 0.861       -      0.869  4/6   73',
        '                      coco      0.876 -> 0.000  '
        '0.865 (0.865) -> 0.861       -      0.868', rule,
        '2  square, arrow +1   paper     0.857 -> 0.000  '
        '0.862 (0.867) -> 0.861       0.000  0.860  4/6   62',
        '                      coco      0.856 -> 0.000  '
        '0.862 (0.867) -> 0.861       0.000  0.860'
    ]


def test_keys_of_detectors_are_the_known_ones(reports):
    """Files of earlier runs and their readers count on these."""
    keys = ['AP_f', 'AP_f_base', 'AP_r', 'AP_r_base', 'AP_o', 'AP_o_base',
            'AP50_f', 'AP50_r', 'AP50_o', 'AP_f_before', 'AP_r_before', 'H',
            'retention', 'per_class', 'per_class_AP50']  # yapf: disable
    metrics = request_metrics(*reports, 2)
    assert list(metrics) == ['paper', 'coco']
    assert all(list(values) == keys for values in metrics.values())
    assert list(to_csv_rows(make_rows(reports))[0]) == [
        'request', 'classes', 'protocol', *keys[:-2], 'zero_groups', 'seconds',
        'adapter_bytes'
    ]


def test_unseen_classes_of_detectors(tmp_path):
    content = make_truth()
    sets = class_sets_for_requests(REQUESTS[:1], ['bee', 'dog'])
    report = run_metric(
        write_truth(tmp_path, content), make_samples(content), sets)[0].report
    rows = [
        dict(
            request=1,
            classes=['cat'],
            **request_metrics(report, report, report, 1))
    ]
    for protocol in ('paper', 'coco'):
        values = rows[0][protocol]
        unseen = report['sets']['01_unseen'][protocol]
        assert values['AP_m'] == values['AP_m_before'] == unseen['AP']
        assert values['AP50_m'] == unseen['AP50']
    assert 'AP_m' in format_table(rows)


def test_widest_table_is_not_cut(reports):
    rows = make_rows(reports)
    for row in rows:
        row.update(
            request=10,
            classes=['x' * 40],
            zero_groups='100/144',
            seconds=86400.)
    text = format_table(rows)
    assert max(map(len, text.splitlines())) <= 110
    assert text.count('86400') == 3 and text.isascii()
    assert text.count('100/144') == 3
    assert 'AP_r before (base) -> after' in text


def test_csv_rows(reports):
    rows = make_rows(reports)
    flat = to_csv_rows(rows)
    assert [(r['request'], r['protocol']) for r in flat
            ] == [(i, p) for i in (1, 2, 3) for p in ('paper', 'coco')]
    assert flat[3]['classes'] == 'ant, fox'
    assert flat[3]['AP_r'] == rows[1]['coco']['AP_r']
    assert flat[3]['zero_groups'] == '3/6'
    assert flat[3]['adapter_bytes'] == 1000
    assert all(not isinstance(v, (dict, list)) for r in flat
               for v in r.values())
