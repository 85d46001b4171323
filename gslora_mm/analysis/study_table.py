"""The table of a study: mean and spread of every cell over its seeds."""
import io

import pandas as pd
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from ..evaluation import measure_of
from ..utils import atomic_path, read_json
from .study_figure import draw_study
from .summary import read_requests

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
_SETS = ('f', 'o', 'r', 'm', 'f_base', 'r_base')
_PERCENT = ('zero_ratio', )


def collect(runs):
    """Results of finished runs, one line per run, request and protocol.

    Args:
        runs (list): Objects with ``cell.values`` (dict[str, str]), ``seed``
            and ``folder``.

    Returns:
        DataFrame: ``cell`` (tuple of the values), ``seed``, ``request``
        (from 1), ``last`` (whether it is the last one), ``protocol``,
        ``score`` ('Acc' or 'AP'); ``f``, ``o``, ``r``, ``m`` and ``f_base``,
        ``r_base``: accuracy or AP of the sets, in [0, 1]; ``kept``, 100 * r /
        r_base; ``H``; ``zero_ratio``; ``parameters`` that are trained;
        ``adapter_kb``, size of the adapter file in 1000 bytes; and
        ``seconds`` of training. NaN where something was not measured.
    """
    lines = []
    for run in runs:
        rows = read_requests(run.folder)
        for row in rows:
            groups = read_json(run.folder /
                               f'request_{row["request"]:02d}/groups.json')
            cost = dict(
                zero_ratio=row['zero_ratio'],
                parameters=sum(g['parameters'] for g in groups['groups']),
                adapter_kb=row['adapter_bytes'] / 1000,
                seconds=row['seconds'])
            about = dict(
                cell=tuple(run.cell.values.values()),
                seed=run.seed,
                request=row['request'],
                last=row is rows[-1])
            measure = measure_of(row)
            lines += [
                dict(
                    about,
                    protocol=protocol,
                    score=measure.score,
                    **_scores(row[protocol], measure.score),
                    **cost) for protocol in measure.protocols_of(row)
            ]
    return pd.DataFrame(lines)


def _scores(values, score):
    found = {key: values.get(f'{score}_{key}') for key in _SETS}
    kept = values['retention']
    found.update(kept=None if kept is None else 100 * kept, H=values['H'])
    return {k: float('nan') if v is None else v for k, v in found.items()}


def aggregate(frame, axes):
    """Mean and spread over the seeds.

    Args:
        frame (DataFrame): What :func:`collect` returned.
        axes (Sequence[str]): Names of the axes.

    Returns:
        DataFrame: One line per cell, request and protocol, cells in the
        order of ``frame``: the axes, ``request``, ``last``, ``protocol``,
        ``score``, ``n`` (how many seeds) and, for every number,
        ``{name}_mean`` and ``{name}_std``, the standard deviation of a
        sample (n - 1; NaN for one seed).
    """
    keys = ['cell', 'request', 'last', 'protocol', 'score']
    grouped = frame.groupby(keys, sort=False, dropna=False)
    numbers = [c for c in frame.columns if c not in (*keys, 'seed')]
    spread = grouped[numbers].agg(['mean', 'std'])
    spread.columns = [f'{name}_{what}' for name, what in spread.columns]
    spread.insert(0, 'n', grouped.size())
    table = spread.reset_index()
    cells = table.pop('cell')
    for place, axis in enumerate(axes):
        table.insert(place, axis, [cell[place] for cell in cells])
    return table.dropna(axis='columns', how='all')


def write_study(grid, runs, missing, out):
    """Write ``study.csv``, ``study.md`` and the figures.

    Args:
        grid (Grid): ``name`` and ``axes`` of the study.
        runs (list): Its finished runs; see :func:`collect`.
        missing (list[str]): Names of the runs that are not finished.
        out (Path): The folder.

    Returns:
        str: The content of ``study.md``.
    """
    axes = [axis.name for axis in grid.axes]
    table = aggregate(collect(_in_order(grid, runs)), axes)
    with atomic_path(out / 'study.csv') as partial:
        _with_score_names(table).to_csv(partial, index=False)
    text = render_study(grid.name, table, axes, missing)
    with atomic_path(out / 'study.md') as partial:
        partial.write_text(text + '\n')
    for suffix in ('png', 'pdf'):
        with atomic_path(out / f'study.{suffix}') as partial:
            draw_study(grid.name, table, axes, partial)
    return text


def _with_score_names(table):
    """The table with 'Acc_f_mean', 'AP_f_mean' and so on as columns."""
    score = table['score'].iloc[0]
    return table.drop(columns='score').rename(
        columns={
            f'{key}_{what}': f'{score}_{key}_{what}'
            for key in _SETS
            for what in ('mean', 'std')
        })


def _in_order(grid, runs):
    """Runs by the place of their cell in the grid, then by seed."""
    places = {a.name: list(a.values) for a in grid.axes}

    def place(run):
        values = run.cell.values.items()
        return [places[axis].index(v) for axis, v in values], run.seed

    return sorted(runs, key=place)


def render_study(name, table, axes, missing=()):
    """The table as Markdown that reads well on a terminal, too.

    Args:
        name (str): Title of the study.
        table (DataFrame): What :func:`aggregate` returned.
        axes (list[str]): Names of the axes.
        missing (Sequence[str]): Names of the runs that are not finished.

    Returns:
        str: Plain ASCII, without a newline at its end, if the names are.
    """
    parts = [
        f'# {name}', 'Mean (standard deviation) over n seeds.',
        '## After the last request',
        _markdown(table[table['last']], axes)
    ]
    if not table['last'].all():
        parts += ['## After each request', _markdown(table, axes, ['request'])]
    if missing:
        parts.append(f'Not finished, {len(missing)} runs: '
                     f'{"; ".join(missing)}.')
    return '\n\n'.join(parts)


def _markdown(table, axes, more=()):
    first = [*axes, *more]
    if table['protocol'].nunique() > 1:
        first.append('protocol')
    shown = [k for k in _SHOWN if f'{k}_mean' in table]
    score = table['score'].iloc[0]
    layout = Table(box=MARKDOWN)
    for header in [*first, 'n']:
        layout.add_column(header, no_wrap=True)
    for key in shown:
        layout.add_column(
            _SHOWN[key][0].format(score=score), no_wrap=True, justify='right')
    for _, row in table.iterrows():
        layout.add_row(*(str(row[key]) for key in [*first, 'n']),
                       *(_cell(row, key) for key in shown))
    # Wide, as rich would cut what does not fit; names are no markup.
    console = Console(
        file=io.StringIO(), width=1000, color_system=None, markup=False,
        emoji=False, highlight=False, force_terminal=False,
        legacy_windows=False)  # yapf: disable
    console.print(layout)
    lines = console.file.getvalue().splitlines()
    return '\n'.join(line.rstrip() for line in lines if line.strip())


def _cell(row, key):
    scale, form = 100 if key in _PERCENT else 1, _SHOWN[key][1]
    mean, std = row[f'{key}_mean'], row.get(f'{key}_std')
    if pd.isna(mean):
        return '-'
    text = f'{scale * mean:{form}}'
    # One seed has no spread, and the number of parameters needs none.
    if std is None or pd.isna(std) or (key == 'parameters' and not std):
        return text
    return f'{text} ({scale * std:{form}})'
