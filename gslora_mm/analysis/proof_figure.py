"""Figures of what is left: a bar for each model, a line for each probe."""
import math

from .figures import new_figure
from .proof_columns import REFERENCE, header, is_steps, numbers_of
from .recover_figure import colours_of

_COLUMNS = 5


def draw_proof(name, table, path):
    """Draw the first protocol, a panel for each number.

    Bars are means, their whiskers the standard deviation over the seeds; the
    dashed line is the model that never saw the classes. A lighter bar ends
    at the last step, by when not all seeds had the classes back.

    Args:
        name (str): Title of the recovery.
        table (DataFrame): As in ``proof.csv``.
        path (str | Path): The image to write.
    """
    table = table[table['protocol'] == table['protocol'].iloc[0]]
    shown = [w for w in numbers_of(table) if table[f'{w}_mean'].notna().any()]
    colours = colours_of(table['title'])
    settings = list(dict.fromkeys(table['setting']))
    columns = min(_COLUMNS, len(shown))
    rows_each = math.ceil(len(shown) / columns)
    figure = new_figure(
        2. + 2.5 * columns,
        .6 + len(settings) * rows_each * (.9 + .24 * len(colours)))
    grid = figure.subplots(
        len(settings) * rows_each, columns, squeeze=False, sharey='row')
    for place, setting in enumerate(settings):
        rows = table[table['setting'] == setting]
        lines = grid[place * rows_each:(place + 1) * rows_each]
        panels = [panel for line in lines for panel in line]
        for what, panel in zip(shown, panels):
            _bars(panel, rows, what, colours)
        for panel in panels[len(shown):]:
            panel.set_visible(False)
        for line in lines:
            line[0].set_yticks(range(len(rows)), rows['title'], fontsize=8)
            line[0].set_ylim(len(rows) - .4, -.6)
            line[0].set_ylabel(setting)
    figure.suptitle(name, fontsize=11)
    figure.savefig(path, dpi=150)


def _bars(panel, rows, what, colours):
    mean = rows[f'{what}_mean']
    bars = panel.barh(
        range(len(rows)),
        mean.fillna(0),
        xerr=rows[f'{what}_std'].fillna(0),
        color=[colours[title] for title in rows['title']],
        error_kw=dict(capsize=2, linewidth=.8))
    if is_steps(what):
        for bar, open_end in zip(bars, rows[f'{what}_limit']):
            bar.set_alpha(.35 if open_end else 1.)
    else:
        panel.set_xlim(0, 1.05)
    known = rows.loc[rows['method'] == REFERENCE, f'{what}_mean'].dropna()
    for value in known:
        panel.axvline(value, color='0.2', linestyle='--', linewidth=1)
    panel.set_title(header(what, rows['score'].iloc[0]), fontsize=9)
    panel.grid(axis='x', color='0.9')
    panel.set_axisbelow(True)


def draw_probes(name, blocks, apart, path):
    """Draw accuracies of linear probes, and how well classes are told apart.

    Args:
        name (str): Title of the recovery.
        blocks (DataFrame): As in ``probes.csv``.
        apart (DataFrame): As in ``apart.csv``.
        path (str | Path): The image to write.
    """
    colours = colours_of(blocks['title'])
    settings = list(dict.fromkeys(blocks['setting']))
    figure = new_figure(13., .5 + 3.8 * len(settings))
    grid = figure.subplots(len(settings), 2, squeeze=False)
    for (left, right), setting in zip(grid, settings):
        _block_lines(left, blocks[blocks['setting'] == setting], colours)
        _areas(right, apart[apart['setting'] == setting], colours)
        left.set_title(f'{setting}: linear probes', fontsize=10)
        right.set_title(f'{setting}: told from others', fontsize=10)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside right upper', fontsize=8)
    figure.suptitle(name, fontsize=11)
    figure.savefig(path, dpi=150)


def _style(rows):
    """The reference is dashed."""
    return '--' if (rows['method'] == REFERENCE).all() else '-'


def _block_lines(panel, blocks, colours):
    layers = list(dict.fromkeys(blocks['layer']))
    for title, rows in blocks.groupby('title', sort=False):
        of = rows.groupby('block')['f']
        mean, std = of.mean(), of.std().fillna(0)
        panel.plot(
            mean.index,
            mean,
            _style(rows),
            color=colours[title],
            marker='.',
            linewidth=1.3,
            label=title)
        panel.fill_between(
            mean.index,
            mean - std,
            mean + std,
            color=colours[title],
            alpha=.15,
            linewidth=0)
    panel.set_xticks(
        range(len(layers)), layers, rotation=25, ha='right', fontsize=8)
    panel.set(ylabel='accuracy on forgotten classes', ylim=(-.03, 1.05))
    panel.grid(color='0.9')


def _areas(panel, apart, colours):
    """A group of bars for each question."""
    questions = list(dict.fromkeys(apart['of']))
    titles = list(dict.fromkeys(apart['title']))
    width = .8 / len(titles)
    for place, title in enumerate(titles):
        of = apart[apart['title'] == title].groupby('of')['area']
        mean, std = of.mean(), of.std().fillna(0)
        shift = (place - (len(titles) - 1) / 2) * width
        panel.bar([i + shift for i in range(len(questions))],
                  mean.reindex(questions),
                  width,
                  yerr=std.reindex(questions),
                  color=colours[title],
                  error_kw=dict(capsize=1.5, linewidth=.7))
    panel.set_xticks(range(len(questions)), questions, fontsize=8)
    panel.set(ylabel='area under the ROC curve', ylim=(.45, 1.02))
    panel.axhline(.5, color='0.6', linewidth=.8)
    panel.grid(axis='y', color='0.9')
    panel.set_axisbelow(True)
