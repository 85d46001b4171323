"""The table and the figure of a study, from numbers that are made up."""
import statistics
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from gslora_mm.analysis import study_figure
from gslora_mm.analysis.study_figure import draw_study
from gslora_mm.analysis.study_markdown import render_study
from gslora_mm.analysis.study_table import aggregate

NUMBERS = ('f', 'r', 'kept', 'H', 'zero_ratio', 'parameters', 'seconds')


def frame(axes, seeds=(0, 1, 2), requests=1, protocols=('top1', )):
    """Random results of the product of some axes.

    Args:
        axes (dict[str, list[str]]): Names of their values.
    """
    rng = np.random.default_rng(0)
    grid = pd.MultiIndex.from_product(axes.values())
    return pd.DataFrame([
        dict(
            cell=tuple(cell),
            seed=seed,
            request=request,
            last=request == requests,
            protocol=protocol,
            score='AP' if len(protocols) > 1 else 'Acc',
            m=np.nan,
            **dict(zip(NUMBERS, rng.random(len(NUMBERS))))) for cell in grid
        for seed in seeds for request in range(1, requests + 1)
        for protocol in protocols
    ])


def test_mean_and_spread_against_numpy():
    axes = dict(b=['z', 'a'], a=['2', '1'])
    raw = frame(axes, requests=2)
    table = aggregate(raw, list(axes))
    lines = list(zip(table['b'], table['a'], table['request'], table['last']))
    assert lines[:4] == [(b, a, 'mean', False) for b in 'za' for a in '21']
    assert lines[4:] == [(b, a, request, request == 2) for b in 'za'
                         for a in '21' for request in (1, 2)]
    assert set(table['n']) == {3}
    for _, line in table[4:].iterrows():
        chosen = raw[(raw['cell'] == (line['b'], line['a']))
                     & (raw['request'] == line['request'])]
        for name in NUMBERS:
            values = chosen[name].to_numpy()
            assert line[f'{name}_mean'] == pytest.approx(np.mean(values))
            assert line[f'{name}_std'] == pytest.approx(
                np.sqrt(((values - values.mean())**2).sum() / 2))
    assert 'm_mean' not in table


def single_and_continual():
    """Cells of three requests and of one; o and m are not always measured."""
    raw = frame(
        dict(a=['x', 'y'], b=['z']), requests=3, protocols=('paper', 'coco'))
    raw['o'] = raw['H'].where(raw['request'] > 1)
    single = raw['cell'] == ('y', 'z')
    raw['m'] = raw['f'].where(~single)
    raw = raw[~single | (raw['request'] == 1)]
    return raw.assign(last=raw['last'] | single)


def test_mean_over_requests_against_plain_python():
    """Of each run first, over the requests that have the number."""
    raw = single_and_continual()
    means = aggregate(raw, ['a', 'b']).query('request == "mean"')
    assert list(zip(means['a'], means['protocol'])) == [('x', 'paper'),
                                                        ('x', 'coco'),
                                                        ('y', 'paper'),
                                                        ('y', 'coco')]
    assert set(means['n']) == {3} and not means['last'].any()
    runs = {}
    for row in raw.to_dict('records'):
        for name in (*NUMBERS, 'o', 'm'):
            if not np.isnan(row[name]):
                key = row['cell'][0], row['protocol'], name
                runs.setdefault(key, {}).setdefault(row['seed'],
                                                    []).append(row[name])
    for line in means.to_dict('records'):
        for name in (*NUMBERS, 'o', 'm'):
            of_seeds = runs.get((line['a'], line['protocol'], name))
            if of_seeds is None:
                assert line['a'] == 'y' and name in 'om'
                assert np.isnan(line[f'{name}_mean'])
                continue
            each = [statistics.mean(found) for found in of_seeds.values()]
            assert line[f'{name}_mean'] == pytest.approx(statistics.mean(each))
            assert line[f'{name}_std'] == pytest.approx(statistics.stdev(each))


def test_one_request_has_no_mean():
    table = aggregate(frame(dict(a=['x', 'y'])), ['a'])
    assert list(table['request']) == [1, 1] and table['last'].all()
    assert '## Mean over' not in render_study('Name', table, ['a'])


def test_one_seed_has_no_spread():
    table = aggregate(frame(dict(a=['1', '2']), seeds=[7]), ['a'])
    assert 'H_std' not in table
    text = render_study('Name', table, ['a'])
    assert f'{table["H_mean"][0]:.3f} ' in text
    assert '(0' not in text and 'nan' not in text


def test_rendered_as_markdown():
    axes = dict(group=['block', 'a[b]'])
    table = aggregate(
        frame(axes, requests=2, protocols=('paper', 'coco')), ['group'])
    text = render_study('Groups', table, ['group'], ['one', 'two'])
    assert text.isascii()
    parts = text.split('\n\n')
    assert [part for part in parts if part.startswith('#')] == [
        '# Groups', '## Mean over the requests', '## After the last request',
        '## After each request'
    ]
    tables = [part for part in parts if part.startswith('|')]
    assert len(tables) == 3
    for part, lines in zip(tables, (4, 4, 8)):
        header, rule, *rows = part.split('\n')
        assert len(rows) == lines
        assert {row.count('|')
                for row in (header, rule, *rows)} == {header.count('|')}
        assert 'AP_f' in header and 'AP_m' not in header
        assert set(rule) == {'|', '-'}
    chosen = ('mean', 2, 1)
    for part, request in zip(tables, chosen):
        cells = [c.strip() for c in part.split('\n')[2].split('|')[1:-1]]
        if 'request' in part:
            assert cells.pop(1) == '1'
        assert cells[:3] == ['block', 'paper', '3']
        line = table[table['request'] == request].iloc[0]
        assert f'{line["H_mean"]:.3f} ({line["H_std"]:.3f})' in cells
    assert 'mean' not in tables[2]
    assert 'a[b]' in tables[0]
    assert text.endswith('Not finished, 2 runs: one; two.')


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draw a frame; returns the panels."""
    made = []
    figure = study_figure.new_figure
    monkeypatch.setattr(study_figure, 'new_figure',
                        lambda *size: made.append(figure(*size)) or made[-1])

    def draw(axes, raw=None, **kwargs):
        raw = frame(axes, **kwargs) if raw is None else raw
        table = aggregate(raw, list(axes))
        draw_study('Name', table, list(axes), tmp_path / 'x.png')
        assert (tmp_path / 'x.png').stat().st_size > 5000
        return SimpleNamespace(
            table=table, panels=made[-1].axes, figure=made[-1])

    return draw


@pytest.mark.parametrize('values, scale', [(['1', '2', '8'], 'linear'),
                                           (['1', '32'], 'log'),
                                           (['0.01', '1.0'], 'log'),
                                           (['0', '3', '330'], 'symlog'),
                                           (['0', '3'], 'linear'),
                                           (['-1', '100'], 'linear')])
def test_numbers_are_on_their_scale(drawn, values, scale):
    found = drawn(dict(a=values))
    assert [panel.get_xscale() for panel in found.panels] == [scale] * 3
    for panel, column, factor in zip(found.panels, ('H', 'kept', 'zero_ratio'),
                                     (1, 1, 100)):
        (container, ) = panel.containers
        line, _, (bars, ) = container
        np.testing.assert_allclose(
            line.get_xdata(orig=False), [float(v) for v in values])
        np.testing.assert_allclose(
            line.get_ydata(orig=False), factor * found.table[f'{column}_mean'])
        reach = [float(part[:, 1].max()) for part in bars.get_segments()]
        mean, std = (
            found.table[f'{column}_{what}'] for what in ('mean', 'std'))
        np.testing.assert_allclose(reach, factor * (mean + std))
        labels = [text.get_text() for text in panel.get_xticklabels()]
        assert labels == values


def test_one_axis_shows_every_request(drawn):
    found = drawn(dict(a=['1', '2']), requests=3)
    assert found.figure.get_suptitle() == 'Name'
    assert len(found.panels[0].containers) == 3
    assert [t.get_text()
            for t in found.figure.legends[0].get_texts()] == ['1', '2', '3']


@pytest.mark.parametrize('requests, shown, title',
                         [(1, 1, 'Name'),
                          (4, 'mean', 'Name, mean over 4 requests')])
def test_two_axes_of_words_are_grouped_bars(drawn, requests, shown, title):
    axes = dict(group=['block', 'lora'], position=['ffn', 'attn', 'both'])
    found = drawn(axes, requests=requests)
    lines = found.table[found.table['request'] == shown]
    assert found.figure.get_suptitle() == title
    panel = found.panels[0]
    assert len(panel.patches) == 6
    heights = [patch.get_height() for patch in panel.patches]
    expected = [
        float(lines[(lines['group'] == g)
                    & (lines['position'] == p)]['H_mean'].iloc[0])
        for p in axes['position'] for g in axes['group']
    ]
    np.testing.assert_allclose(heights, expected)
    assert [t.get_text()
            for t in found.figure.legends[0].get_texts()] == axes['position']
    assert [t.get_text() for t in panel.get_xticklabels()] == axes['group']


def test_title_where_cells_have_other_numbers_of_requests(drawn):
    found = drawn(dict(a=['x', 'y'], b=['z']), raw=single_and_continual())
    assert found.figure.get_suptitle() == 'Name, mean over the requests'


def test_the_numerical_axis_is_drawn_across(drawn):
    found = drawn(dict(mode=['x', 'y'], rank=['1', '16']), seeds=[0])
    assert found.panels[0].get_xlabel() == 'rank'
    assert found.panels[0].get_xscale() == 'log'
    assert len(found.panels[0].containers) == 2
