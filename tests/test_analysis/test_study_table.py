"""The table and the figure of a study, from numbers that are made up."""
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from gslora_mm.analysis import study_figure
from gslora_mm.analysis.study_figure import draw_study
from gslora_mm.analysis.study_table import aggregate, render_study

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
    assert list(zip(table['b'], table['a'],
                    table['request']))[:3] == [('z', '2', 1), ('z', '2', 2),
                                               ('z', '1', 1)]
    assert len(table) == 8 and set(table['n']) == {3}
    for _, line in table.iterrows():
        chosen = raw[(raw['cell'] == (line['b'], line['a']))
                     & (raw['request'] == line['request'])]
        for name in NUMBERS:
            values = chosen[name].to_numpy()
            assert line[f'{name}_mean'] == pytest.approx(np.mean(values))
            assert line[f'{name}_std'] == pytest.approx(
                np.sqrt(((values - values.mean())**2).sum() / 2))
    assert 'm_mean' not in table


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
    tables = [part for part in text.split('\n\n') if part.startswith('|')]
    assert len(tables) == 2
    for part, lines in zip(tables, (4, 8)):
        header, rule, *rows = part.split('\n')
        assert len(rows) == lines
        assert {row.count('|')
                for row in (header, rule, *rows)} == {header.count('|')}
        assert 'AP_f' in header and 'AP_m' not in header
        assert set(rule) == {'|', '-'}
    last = table[table['last']].iloc[0]
    cells = [c.strip() for c in tables[0].split('\n')[2].split('|')[1:-1]]
    assert cells[:3] == ['block', 'paper', '3']
    assert f'{last["H_mean"]:.3f} ({last["H_std"]:.3f})' in cells
    assert 'a[b]' in tables[0]
    assert text.endswith('Not finished, 2 runs: one; two.')


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draw a frame; returns the panels."""
    made = []
    figure = study_figure.new_figure
    monkeypatch.setattr(study_figure, 'new_figure',
                        lambda *size: made.append(figure(*size)) or made[-1])

    def draw(axes, **kwargs):
        table = aggregate(frame(axes, **kwargs), list(axes))
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
    assert len(found.panels[0].containers) == 3
    assert [t.get_text()
            for t in found.figure.legends[0].get_texts()] == ['1', '2', '3']


def test_two_axes_of_words_are_grouped_bars(drawn):
    axes = dict(group=['block', 'lora'], position=['ffn', 'attn', 'both'])
    found = drawn(axes, requests=2)
    last = found.table[found.table['last']]
    panel = found.panels[0]
    assert len(panel.patches) == 6
    heights = [patch.get_height() for patch in panel.patches]
    expected = [
        float(last[(last['group'] == g)
                   & (last['position'] == p)]['H_mean'].iloc[0])
        for p in axes['position'] for g in axes['group']
    ]
    np.testing.assert_allclose(heights, expected)
    assert [t.get_text()
            for t in found.figure.legends[0].get_texts()] == axes['position']
    assert [t.get_text() for t in panel.get_xticklabels()] == axes['group']


def test_the_numerical_axis_is_drawn_across(drawn):
    found = drawn(dict(mode=['x', 'y'], rank=['1', '16']), seeds=[0])
    assert found.panels[0].get_xlabel() == 'rank'
    assert found.panels[0].get_xscale() == 'log'
    assert len(found.panels[0].containers) == 2
