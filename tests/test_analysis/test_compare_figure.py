"""The figure of a comparison says what the table says."""
import pandas as pd
import pytest
from matplotlib.figure import Figure

from gslora_mm.analysis.compare_figure import draw_comparison

TITLES = ['Filter', 'Fine-tune', 'Broken']


def table():
    rows = []
    for setting in ('single', 'continual'):
        for i, title in enumerate(TITLES):
            known = title != 'Broken'
            rows.append(
                dict(
                    protocol='all',
                    setting=setting,
                    title=title,
                    method=title.lower(),
                    request='mean',
                    last=True,
                    score='Acc',
                    H_mean=.9 + .01 * i if known else None,
                    H_std=.004,
                    f_mean=.02 + .3 * i if known else None,
                    f_std=.01,
                    iteration_seconds_mean=.25,
                    iteration_seconds_std=0.))
    return pd.DataFrame(rows)


def test_numbers_stand_in_the_bars(tmp_path, monkeypatch):
    drawn = []
    save = Figure.savefig

    def keep(figure, *args, **kwargs):
        drawn.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, 'savefig', keep)
    draw_comparison('Methods', table(), tmp_path / 'out.png')
    share, left, seconds = drawn[0].axes
    assert [t.get_text() for t in share.texts] == 2 * ['0.900', '0.910']
    assert [t.get_text() for t in left.texts] == 2 * ['0.020', '0.320']
    assert not seconds.texts
    assert [label.get_text() for label in share.get_yticklabels()] == TITLES
    # Beside a short bar, behind its error; inside a long one.
    assert [t.get_position()[0]
            for t in left.texts[:2]] == pytest.approx([.05, .35])
    assert {t.get_position()[0] for t in share.texts} == {.02}
    # At the height of the bar, of each setting.
    middles = [bar.get_y() + bar.get_height() / 2 for bar in left.patches]
    heights = [t.get_position()[1] for t in left.texts]
    for place in (0, 1):
        for i in (0, 1):
            assert heights[2 * place + i] == pytest.approx(middles[3 * place +
                                                                   i])
