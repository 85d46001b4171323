"""Names in tables, Markdown and figures are text and nothing else."""
import pandas as pd
import pytest
from fake_run import make_run

from gslora_mm.analysis import (analyze_groups, draw_heatmap, draw_norms,
                                render_request)
from gslora_mm.analysis.study_markdown import markdown_table
from gslora_mm.evaluation import format_table
from gslora_mm.utils import shown

NAMES = ('[red]bold[/red]', '<script>alert(1)</script>', 'a|b', '$\\frac{$',
         ':smile:', '$', '_' * 3000)


@pytest.mark.parametrize('name', NAMES)
def test_class_names_in_a_table(name):
    values = dict.fromkeys(('AP_f', 'AP_r', 'AP_o', 'AP_f_before',
                            'AP_r_before', 'AP_r_base', 'H', 'AP_f_base'), .5)
    row = dict(request=1, classes=[name], paper=values, seconds=1.)
    lines = format_table([row]).splitlines()
    assert len(lines) == 3 and max(map(len, lines)) <= 110
    assert name[:6] in lines[2]


def test_group_and_class_names_in_figures_and_tables(tmp_path):
    report = analyze_groups(make_run(tmp_path))
    for row in report['requests']:
        row['classes'] = ['$\\frac{$', 'line\nbreak']
        for group, name in zip(row['groups'], NAMES[3:]):
            group['name'] = name
        assert 'line\nbreak' not in render_request(row)
    for draw in (draw_heatmap, draw_norms):
        draw(report, tmp_path / 'figure.png')


def test_names_in_markdown():
    table = pd.DataFrame(
        [dict(cell='a|b<i>\n|x', score='AP', H_mean=.5, H_std=None)])
    lines = markdown_table(table, ['cell'], {'H': ('H', '.3f')}).splitlines()
    assert len(lines) == 3
    assert lines[2].replace('\\|', '').count('|') == lines[0].count('|')
    assert '<i>' not in lines[2]


@pytest.mark.parametrize('name,expected', [('plain name', 'plain name'),
                                           ('крыша 猫', 'крыша 猫'),
                                           ('a\nb\x1b[2J', 'a\\nb\\x1b[2J'),
                                           ('\ud800', '\\ud800'),
                                           ('\u202e', '\\u202e')])
def test_shown(name, expected):
    assert shown(name) == expected
    assert len(shown(name * 10**5)) < 1000
