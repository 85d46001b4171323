"""The table of a study as Markdown."""
import io

import pandas as pd
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from ..utils import counted, shown

# Header and format of what is printed; the CSV has more.
_SHOWN = {
    'f': ('{score}_f', '.3f'),
    'o': ('{score}_o', '.3f'),
    'r': ('{score}_r', '.3f'),
    'kept': ('{score}_r kept %', '.1f'),
    'm': ('{score}_m', '.3f'),
    'H': ('H', '.3f'),
    'zero_ratio': ('zero groups %', '.0f'),
    'parameters': ('trainable', ',.0f'),
    'adapter_kb': ('adapter KB', ',.0f'),
    'seconds': ('seconds', '.0f'),
}
_PERCENT = ('zero_ratio', 'trained_ratio')
# Without a spread they need none.
_EXACT = ('parameters', 'trained_ratio', 'stored_kb')


def render_study(name, table, axes, missing=()):
    """The table as Markdown that reads well on a terminal, too.

    Args:
        name (str): Title of the study.
        table (DataFrame): What
            :func:`~gslora_mm.analysis.study_table.aggregate` returned.
        axes (list[str]): Names of the axes.
        missing (Sequence[str]): Names of the runs that are not finished.

    Returns:
        str: Plain ASCII, without a newline at its end, if the names are.
    """
    means = table['request'] == 'mean'
    parts = [f'# {name}', 'Mean (standard deviation) over n seeds.']
    if means.any():
        parts += ['## Mean over the requests', _markdown(table[means], axes)]
    parts += [
        '## After the last request',
        _markdown(table[table['last']], axes)
    ]
    if means.any():
        parts += [
            '## After each request',
            _markdown(table[~means], axes, ['request'])
        ]
    if missing:
        parts.append(f'Not finished, {counted(len(missing), "run")}: '
                     f'{"; ".join(missing)}.')
    return '\n\n'.join(parts)


def _markdown(table, axes, more=()):
    first = [*axes, *more]
    if table['protocol'].nunique() > 1:
        first.append('protocol')
    return markdown_table(table, [*first, 'n'], _SHOWN)


def markdown_table(table, first, shown):
    """Means with their spread as a Markdown table.

    Args:
        table (DataFrame): Columns ``{name}_mean`` and ``{name}_std``, and
            ``score``, what accuracy is called.
        first (list[str]): Columns of text that come first.
        shown (dict[str, tuple[str, str]]): Header and format of the numbers
            to show, by name; those that the table lacks are left out.

    Returns:
        str: The lines.
    """
    present = [k for k in shown if f'{k}_mean' in table]
    score = table['score'].iloc[0]
    return text_table(first,
                      [shown[key][0].format(score=score) for key in present],
                      [[
                          *(str(row[key])
                            for key in first), *(_cell(row, key, shown[key][1])
                                                 for key in present)
                      ] for _, row in table.iterrows()])


def text_table(first, others, rows):
    """Cells as a Markdown table.

    Args:
        first (list[str]): Headers of the columns of text.
        others (list[str]): Headers of the columns of numbers behind them.
        rows (list[list[str]]): The cells.

    Returns:
        str: The lines.
    """
    layout = Table(box=MARKDOWN)
    for header in first:
        layout.add_column(header, no_wrap=True)
    for header in others:
        layout.add_column(header, no_wrap=True, justify='right')
    for row in rows:
        layout.add_row(*map(_plain, row[:len(first)]), *row[len(first):])
    # Wide, as rich would cut what does not fit; names are no markup.
    console = Console(
        file=io.StringIO(), width=1000, color_system=None, markup=False,
        emoji=False, highlight=False, force_terminal=False,
        legacy_windows=False)  # yapf: disable
    console.print(layout)
    lines = console.file.getvalue().splitlines()
    return '\n'.join(line.rstrip() for line in lines if line.strip())


def _plain(value):
    # Neither a column nor a tag of HTML begins inside a name.
    text = shown(value, 200).replace('|', r'\|')
    return text.replace('<', '&lt;')


def _cell(row, key, form):
    scale = 100 if key in _PERCENT else 1
    mean, std = row[f'{key}_mean'], row.get(f'{key}_std')
    if pd.isna(mean):
        return '-'
    text = f'{scale * mean:{form}}'
    # One seed has no spread, and a number of parameters needs none.
    if std is None or pd.isna(std) or (key in _EXACT and not std):
        return text
    return f'{text} ({scale * std:{form}})'
