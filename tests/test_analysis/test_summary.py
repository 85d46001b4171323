"""Summaries of runs whose files were written by hand."""
import json

import pandas as pd
import pytest

from gslora_mm.analysis import read_requests, render_summary, write_summary
from gslora_mm.utils import ForgetError

GROUP = dict(name='g', norm=0., zero=True, parameters=4, layers=['l'])
PROTOCOLS = dict(AP=('paper', 'coco'), Acc=('top1', 'margin'))


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def values(score, number):
    keys = ('f', 'f_before', 'r', 'r_before', 'r_base', 'o')
    return {**{f'{score}_{k}': number for k in keys}, 'H': number,
            'per_class': dict(cat=number)}  # yapf: disable


def make_run(folder, score='Acc', indices=(1, 2), base=(.25, .974)):
    """The files of a run; ``base`` is one value for each protocol."""
    for index in indices:
        request = folder / f'request_{index:02d}'
        write(
            request / 'metrics.json',
            dict(
                request=index,
                classes=[f'class{index}'],
                **{p: values(score, index / 1000)
                   for p in PROTOCOLS[score]}))
        write(
            request / 'groups.json',
            dict(groups=[GROUP] * 6, zero_groups=4, zero_ratio=2 / 3,
                 adapter_bytes=10))  # yapf: disable
        write(request / 'training.json', dict(seconds=1., peak_memory_mb=2.))
    whole = {p: {score: v} for p, v in zip(PROTOCOLS[score], base)}
    write(folder / 'base' / 'report.json', dict(all=whole, sets={}))
    return folder


@pytest.mark.parametrize('score, base, title', [
    ('AP', (.9, .867), 'base model: AP 0.867 over all classes'),
    ('Acc', (.974, .9), 'base model: accuracy 0.974 over all classes'),
    ('Acc', (None, None), 'base model: accuracy - over all classes'),
])
def test_title_names_what_is_measured(tmp_path, score, base, title):
    summary = write_summary(make_run(tmp_path, score, base=base))
    text = render_summary(summary)
    assert text.splitlines()[0] == title
    assert f'{score}_r before (base) -> after' in text.splitlines()[1]
    assert (tmp_path / 'summary.md').read_text() == f'```\n{text}\n```\n'
    assert json.loads((tmp_path / 'summary.json').read_text()) == summary
    table = pd.read_csv(tmp_path / 'summary.csv')
    assert table.protocol.tolist() == [*PROTOCOLS[score]] * 2
    assert table[f'{score}_r'].tolist() == [.001, .001, .002, .002]
    assert table.zero_groups.tolist() == ['4/6'] * 4


def test_requests_are_sorted_by_number(tmp_path):
    make_run(tmp_path, indices=(100, 2, 11, 1, 101))
    (tmp_path / 'request_old').mkdir()
    write(tmp_path / 'request_old' / 'metrics.json', {})
    (tmp_path / 'request_03').mkdir()  # not finished
    rows = read_requests(tmp_path)
    assert [row['request'] for row in rows] == [1, 2, 11, 100, 101]
    assert rows[3]['classes'] == ['class100']


def test_gallery_is_read_where_it_is(tmp_path):
    make_run(tmp_path)
    assert 'rank-1' not in render_summary(write_summary(tmp_path))
    gallery = dict(
        rank1_f=.125, rank1_f_before=1., rank1_r=.75, rank1_r_before=.875,
        per_class=dict(cat=.5))  # yapf: disable
    write(tmp_path / 'request_02' / 'gallery.json', gallery)
    summary = write_summary(tmp_path)
    assert 'gallery' not in summary['requests'][0]
    assert summary['requests'][1]['gallery'] == gallery
    text = render_summary(summary)
    assert text.count('1.000 -> 0.125  0.875 -> 0.750') == 1
    # And once more with the rates, in a table of its own.
    assert text.count('1.000 -> 0.125') == 2 and 'TAR f' in text
    table = pd.read_csv(tmp_path / 'summary.csv')
    assert table.gallery_rank1_f.tolist()[2:] == [.125, .125]
    assert table.gallery_rank1_f[:2].isna().all()
    (tmp_path / 'request_02' / 'gallery.json').write_text('{"rank1_f": ')
    with pytest.raises(ForgetError, match='gallery.json is damaged'):
        write_summary(tmp_path)


def test_bad_input(tmp_path):
    with pytest.raises(ForgetError, match='no finished request'):
        write_summary(tmp_path)
    make_run(tmp_path)
    path = tmp_path / 'request_01' / 'metrics.json'
    content = json.loads(path.read_text())
    for key, value in (('classes', []), ('classes', ['a', 3]), ('request', -1),
                       ('top1', [])):
        write(path, dict(content, **{key: value}))
        with pytest.raises(ForgetError, match='metrics.json is damaged'):
            write_summary(tmp_path)
    write(path, content)
    write(tmp_path / 'base' / 'report.json', dict(all=dict(mAP=.5)))
    with pytest.raises(ForgetError, match='neither.*mAP'):
        write_summary(tmp_path)
