import json

import pytest
from classifier_toys import (CLASSES, MARGIN, make_logits, make_samples,
                             run_metric)
from test_request_table import FakeRequest

from gslora_mm.evaluation import (class_sets_for_requests, format_table,
                                  h_mean, request_metrics, to_csv_rows)
from gslora_mm.utils import ForgetError

REQUESTS = [
    FakeRequest(1, ('elm', ), (),
                ('ash', 'box', 'fig', 'fir', 'ivy', 'oak', 'yew')),
    FakeRequest(2, ('fir', 'ivy'), ('elm', ),
                ('ash', 'box', 'fig', 'oak', 'yew')),
]
UNSEEN = ('yew', 'fig')


def make_reports(margin=MARGIN, unseen=UNSEEN, classes=CLASSES):
    """Reports of three models, each noisier than the one before."""
    sets = class_sets_for_requests(REQUESTS, unseen)
    return [
        run_metric(
            make_samples(*make_logits(4, 200, noise)), sets,
            margin=margin)[0].report for noise in (12., 17., 25.)
    ]


def make_rows(reports, **more):
    return [
        dict(
            request=r.index,
            classes=list(r.classes),
            **request_metrics(*reports, r.index),
            **more) for r in REQUESTS
    ]


@pytest.fixture(scope='module')
def reports():
    return make_reports()


def test_unseen_class_sets():
    plain = class_sets_for_requests(REQUESTS)
    sets = class_sets_for_requests(REQUESTS, ['yew', 'fir'])
    assert sets == dict(
        plain,
        **{
            '01_unseen': ['fir', 'yew'],
            '02_unseen': ['yew']  # 'fir' is forgotten by now
        })
    # As in the published missing-class table, they are retained as well.
    assert {'fir', 'yew'} <= set(sets['01_retain'])
    assert class_sets_for_requests(REQUESTS, ['elm']) == plain
    with pytest.raises(ForgetError, match="unseen.*'yow'.*'yew'"):
        class_sets_for_requests(REQUESTS, ['yow'])


@pytest.mark.parametrize('protocol', ['top1', 'margin'])
def test_metrics(reports, protocol):
    base, before, after = reports
    metrics = request_metrics(base, before, after, 2)
    assert list(metrics) == ['top1', 'margin']
    metrics = metrics[protocol]

    def of(report, name, key='Acc'):
        return report['sets'][name][protocol][key]

    letters = dict(f='forget', r='retain', o='old', m='unseen')
    for short, name in letters.items():
        name = f'02_{name}'
        assert metrics.pop(f'Acc_{short}') == of(after, name)
        assert metrics.pop(f'Acc5_{short}') == of(after, name, 'Acc5')
        assert metrics.pop(f'Acc_{short}_base') == of(base, name)
        if short != 'o':
            assert metrics.pop(f'Acc_{short}_before') == of(before, name)
    retain, forget = of(after, '02_retain'), of(after, '02_forget')
    assert metrics.pop('retention') == retain / of(base, '02_retain')
    assert metrics.pop('H') == h_mean(retain, of(base, '02_forget'), forget)
    assert of(base, '02_forget') > forget
    per_class = metrics.pop('per_class')
    assert set(per_class) == set(CLASSES)
    assert per_class['elm'] == of(after, '02_old')
    assert per_class['ivy'] is None
    assert set(metrics.pop('per_class_Acc5')) == set(CLASSES)
    assert not metrics


def test_without_margin_unseen_and_top5():
    metrics = request_metrics(*make_reports(None, ()), 1)
    assert list(metrics) == ['top1']
    assert not any('_m' in key for key in metrics['top1'])
    assert metrics['top1']['Acc_o'] is metrics['top1']['Acc_o_base'] is None
    json.dumps(metrics, allow_nan=False)
    few = dict(x=dict(top1=dict(Acc=.5, per_class={})))
    report = dict(
        all=few['x'], sets={
            '01_forget': few['x'],
            '01_retain': few['x']
        })
    metrics = request_metrics(report, report, report, 1)['top1']
    assert not any('Acc5' in key for key in metrics)


def test_what_a_report_lacks_is_named(reports):
    with pytest.raises(ForgetError, match="after.*'03_forget'"):
        request_metrics(*reports, 3)
    plain = make_reports(None)
    with pytest.raises(ForgetError, match="base.*'margin'"):
        request_metrics(plain[0], reports[1], reports[2], 1)
    with pytest.raises(ForgetError, match="before.*'02_unseen'"):
        request_metrics(reports[0], make_reports(unseen=())[1], reports[2], 2)


def test_table(reports):
    rows = make_rows(reports, zero_groups='7/12', seconds=70.2)
    lines = format_table(rows, title='the title').splitlines()
    assert max(map(len, lines)) <= 110
    assert lines[0] == 'the title'
    assert lines[1].split() == [
        '#', 'classes', 'protocol', 'Acc_f', 'Acc_r', 'before', '(base)', '->',
        'after', 'Acc_o', 'Acc_m', 'H', 'zero', 'seconds'
    ]
    top1, margin = rows[1]['top1'], rows[1]['margin']
    line, below = [x for x in lines if x.count('->') == 2][2:]
    assert line.split() == [
        '2', 'fir,', 'ivy', 'top1', f'{top1["Acc_f_before"]:.3f}', '->',
        f'{top1["Acc_f"]:.3f}', f'{top1["Acc_r_before"]:.3f}',
        f'({top1["Acc_r_base"]:.3f})', '->', f'{top1["Acc_r"]:.3f}',
        f'{top1["Acc_o"]:.3f}', f'{top1["Acc_m"]:.3f}', f'{top1["H"]:.3f}',
        '7/12', '70'
    ]
    assert below.split()[0] == 'margin'
    assert below.split()[-2:] == [
        f'{margin["Acc_m"]:.3f}', f'{margin["H"]:.3f}'
    ]


def test_table_of_one_protocol():
    lines = format_table(make_rows(make_reports(None, ()))).splitlines()
    assert 'Acc_m' not in lines[0] and 'protocol' in lines[0]
    cells = [x for x in lines if x.count('->') == 2]
    assert [x.split()[0] for x in cells] == ['1', '2']
    assert all(' top1 ' in x for x in cells)
    assert not any('margin' in x for x in lines)


GALLERY = dict(
    rank1_f=.0625,
    rank1_f_before=.96875,
    rank1_r=.9375,
    rank1_r_before=None,
    chance=.05,
    per_class=dict(elm=.5))


def test_gallery_columns(reports):
    rows = make_rows(make_reports(None, ()), seconds=5.)
    rows[0]['gallery'] = GALLERY
    lines = format_table(rows).splitlines()
    assert max(map(len, lines)) <= 130
    assert 'rank-1 f        rank-1 r' in lines[0]
    first, second = [x for x in lines if 'top1' in x]
    assert '0.062 -> 0.062' not in first
    assert first.endswith('0.969 -> 0.062  - -> 0.938  5')
    assert second.count('->') == 2 and second.endswith('  5')
    assert 'rank-1' not in format_table(make_rows(reports))


@pytest.mark.parametrize('gallery, limit', [(None, 110), (GALLERY, 130)])
def test_no_number_is_ever_cut(reports, gallery, limit):
    rows = make_rows(
        reports, zero_groups='12/12', seconds=7200., gallery=gallery)
    for index, row in enumerate(rows, 8):
        row.update(
            request=index, classes=[f'{k:02d}_Somebody' for k in range(20)])
    text = format_table(rows)
    assert max(map(len, text.splitlines())) <= limit
    assert text.isascii()
    assert text.count('12/12') == text.count('7200') == len(rows)
    for row in rows:
        for values in (row['top1'], row['margin']):
            assert (f'{values["Acc_r_before"]:.3f} '
                    f'({values["Acc_r_base"]:.3f}) -> {values["Acc_r"]:.3f}'
                    ) in text
    assert text.count(' +19') == len(rows)
    assert text.count('0.969 -> 0.062') == (len(rows) if gallery else 0)


def test_csv_rows(reports):
    rows = make_rows(reports, seconds=3., gallery=GALLERY)
    flat = to_csv_rows(rows)
    assert [(r['request'], r['protocol']) for r in flat
            ] == [(i, p) for i in (1, 2) for p in ('top1', 'margin')]
    assert flat[3]['Acc_r'] == rows[1]['margin']['Acc_r']
    assert flat[3]['Acc_m'] == rows[1]['margin']['Acc_m']
    assert flat[0]['gallery_rank1_f'] == .0625
    assert flat[0]['seconds'] == 3.
    assert all(not isinstance(v, (dict, list)) for r in flat
               for v in r.values())
    assert to_csv_rows([]) == []
