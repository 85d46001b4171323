"""The table of a study: mean and spread of every cell over its seeds."""
import math

import pandas as pd

from ..evaluation import measure_of
from ..utils import atomic_path, write_text
from .artefact_forms import read_groups, read_training
from .study_figure import draw_study
from .study_markdown import render_study
from .summary import read_requests

_SETS = ('f', 'o', 'r', 'm', 'f_base', 'r_base')


def collect(runs):
    """Results of finished runs, one line per run, request and protocol.

    Args:
        runs (list): Objects with ``cell.values`` (dict[str, str]), ``seed``,
            ``folder`` and ``requests``, how many count.

    Returns:
        DataFrame: ``cell`` (tuple of the values), ``seed``, ``request``
        (from 1), ``last`` (whether it is the last one), ``protocol``,
        ``score`` ('Acc' or 'AP'); ``f``, ``o``, ``r``, ``m`` and ``f_base``,
        ``r_base``: accuracy or AP of the sets, in [0, 1]; ``kept``, 100 * r /
        r_base; ``H``; ``zero_ratio``; ``parameters`` that are trained;
        ``adapter_kb``, size of the adapter file in 1000 bytes; ``seconds``
        of training, and of an iteration, ``iteration_seconds``;
        ``trained_ratio``, ``stored_kb`` that the method keeps and
        ``peak_memory_mb``. NaN where something was not measured.
    """
    lines = []
    for run in runs:
        rows = read_requests(run.folder)[:run.requests]
        for row in rows:
            cost = _cost(row, run.folder / f'request_{row["request"]:02d}')
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


def _cost(row, folder):
    """What a request took, from its row and the files in its folder."""
    groups = read_groups(folder / 'groups.json')
    steps = read_training(folder / 'training.json').get('iterations')
    parameters = row.get('trained_parameters')
    if parameters is None:
        parameters = sum(g['parameters'] for g in groups['groups'])
    return dict(
        zero_ratio=_number(row['zero_ratio']),
        parameters=parameters,
        adapter_kb=_number(row['adapter_bytes']) / 1000,
        seconds=row['seconds'],
        iteration_seconds=row['seconds'] / steps if steps else math.nan,
        trained_ratio=_number(row.get('trained_ratio')),
        stored_kb=_number(row.get('stored_bytes')) / 1000,
        peak_memory_mb=_number(row.get('peak_memory_mb')))


def _number(value):
    return float('nan') if value is None else value


def _scores(values, score):
    found = {key: values.get(f'{score}_{key}') for key in _SETS}
    kept = values.get('retention')
    found.update(kept=None if kept is None else 100 * kept, H=values['H'])
    return {k: _number(v) for k, v in found.items()}


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
        sample (n - 1; NaN for one seed). If there are several requests,
        lines with the request 'mean' stand first: the same of the mean over
        the requests of each run.
    """
    if not frame['last'].all():
        frame = pd.concat([_over_requests(frame), frame], ignore_index=True)
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


def _over_requests(frame):
    """Each run's mean over its requests, of those that have a number."""
    runs = frame.drop(columns=['request', 'last']).groupby(
        ['cell', 'seed', 'protocol', 'score'], sort=False, dropna=False)
    return runs.mean().reset_index().assign(request='mean', last=False)


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
        with_score_names(table).to_csv(partial, index=False)
    text = render_study(grid.name, table, axes, missing)
    write_text(out / 'study.md', text + '\n')
    for suffix in ('png', 'pdf'):
        with atomic_path(out / f'study.{suffix}') as partial:
            draw_study(grid.name, table, axes, partial)
    return text


def with_score_names(table):
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
