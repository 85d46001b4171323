import runpy
import sys
from pathlib import Path

import matplotlib.image
import pytest
from fake_run import make_run
from matplotlib.figure import Figure

from gslora_mm.analysis import analyze_groups, draw_heatmap, draw_norms
from gslora_mm.analysis.figures import zero_since

TOOL = Path(__file__).parents[2] / 'tools' / 'analyze_groups.py'


@pytest.fixture
def drawn(monkeypatch):
    """Figures that were saved."""
    figures, save = [], Figure.savefig

    def keep(self, *args, **kwargs):
        figures.append(self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, 'savefig', keep)
    return figures


def test_heatmap_marks_exactly_the_zero_groups(tmp_path, drawn):
    report = analyze_groups(make_run(tmp_path))
    draw_heatmap(report, tmp_path / 'heatmap.png')
    axes = drawn[0].axes[0]
    hatched = {(p.get_x() + .5, p.get_y() + .5)
               for p in axes.patches if p.get_hatch()}
    assert hatched == {(0, 1), (0, 2), (1, 2)}
    assert [t.get_text() for t in axes.texts].count('0') == 3
    values = axes.images[0].get_array()
    groups = report['requests'][1]['groups']
    assert values[0, 1] == pytest.approx(groups[0]['update_norm'])
    assert [t.get_text()
            for t in axes.get_yticklabels()] == [g['name'] for g in groups]
    assert matplotlib.image.imread(tmp_path / 'heatmap.png').ndim == 3


def test_norms_of_every_epoch_and_where_they_reach_zero(tmp_path, drawn):
    report = analyze_groups(make_run(tmp_path))
    draw_norms(report, tmp_path / 'norms.png')
    panel = drawn[0].axes[0]
    curves = [x for x in panel.lines if len(x.get_xdata()) == 3]
    for i, curve in enumerate(curves):
        wanted = [e[i] for e in report['requests'][0]['history']]
        assert list(curve.get_ydata()) == pytest.approx(wanted)
    assert [c.get_linestyle() for c in curves] == ['-', '--', '--']
    crosses = [x for x in panel.lines if x.get_marker() == 'x']
    assert [list(c.get_xdata()) for c in crosses] == [[2], [2]]


@pytest.mark.parametrize('norms, epoch', [([1, 0, 0], 2), ([0, 1, 0], 3),
                                          ([0, 0], 1), ([1, 2], None),
                                          ([], None)])
def test_zero_since(norms, epoch):
    assert zero_since(norms) == epoch


def test_runs_without_history_are_drawn(tmp_path):
    report = analyze_groups(make_run(tmp_path, zero=((0, 1, 2), )))
    report['requests'][0]['history'] = []
    draw_norms(report, tmp_path / 'norms.png')
    draw_heatmap(report, tmp_path / 'heatmap.png')


def test_tool_exits_with_one_line(tmp_path, monkeypatch, capsys):
    work_dir, out = make_run(tmp_path), tmp_path / 'out'
    arguments = ['analyze_groups.py', str(work_dir), '--out', str(out)]
    monkeypatch.setattr(sys, 'argv', arguments)
    runpy.run_path(str(TOOL), run_name='__main__')
    assert len(list(out.iterdir())) == 4
    assert not (work_dir / 'analysis').exists()
    (tmp_path / 'base.pth').unlink()
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(TOOL), run_name='__main__')
    assert str(stop.value).startswith('error: base checkpoint')
    assert '\n' not in str(stop.value)
