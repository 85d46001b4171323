"""The tables of a comparison: results, and how they were tuned."""
import pandas as pd

from ..utils import atomic_path, write_json, write_text
from .compare_figure import draw_comparison
from .compare_markdown import render_comparison
from .study_table import aggregate, collect, with_score_names

AXES = ('setting', 'method')
RECOVER = 'recover/recover.csv'


def write_search(searches, chosen, out):
    """Write ``trials.csv`` and ``tuned.json``.

    Args:
        searches (dict[str, Search]): By name of the method.
        chosen (dict[str, dict | None]): What each found.
        out (Path): The folder.
    """
    rows = [row for search in searches.values() for row in search.rows()]
    for row in rows:
        found = chosen[row['method']]
        row['chosen'] = bool(found) and found['trial'] == row['trial']
        row['H'] = ' '.join(f'{h:.4f}' for h in row['H'])
    columns = ('method', 'trial', 'score', 'H', 'chosen', 'seconds',
               'diverged')
    with atomic_path(out / 'trials.csv') as partial:
        pd.DataFrame(rows, columns=columns).to_csv(partial, index=False)
    write_json(out / 'tuned.json', chosen)


def write_comparison(settings, runs, chosen, hopeless, out):
    """Write ``compare.csv``, ``compare.md`` and the figure.

    Args:
        settings (ComparisonSettings): The comparison.
        runs (list[Run]): All that are planned, finished or not.
        chosen (dict[str, dict | None]): What the search found, by method.
        hopeless (list[str]): Methods of which every trial diverged.
        out (Path): The folder; ``recover/recover.csv`` in it is joined.

    Returns:
        str: The content of ``compare.md``.
    """
    finished = [run for run in runs if run.is_done()]
    table = aggregate(collect(finished), AXES)
    table = _with_recovery(table, out / RECOVER)
    diverged = _diverged(settings, runs, hopeless)
    table = _ordered(settings, _with_failures(table, diverged))
    table.insert(2, 'title', table['method'].map(settings.titles))
    with atomic_path(out / 'compare.csv') as partial:
        with_score_names(table).to_csv(partial, index=False)
    text = render_comparison(settings, table, chosen,
                             _notes(runs, settings, chosen, hopeless))
    write_text(out / 'compare.md', text + '\n')
    for suffix in ('png', 'pdf'):
        with atomic_path(out / f'compare.{suffix}') as partial:
            draw_comparison(settings.name, table, partial)
    return text


def _diverged(settings, runs, hopeless):
    """How often each cell diverged, by setting and method."""
    found = {}
    for run in runs:
        if not run.is_done() and run.diverged():
            key = tuple(run.cell.values[axis] for axis in AXES)
            found[key] = found.get(key, 0) + 1
    for method in hopeless:
        for setting in settings.settings.values:
            if settings.asks(setting, method):
                found[setting, method] = len(settings.seeds)
    return found


def _with_failures(table, diverged):
    """A column that counts diverged seeds; rows for cells without any."""
    table = table.copy()
    cells = list(zip(table['setting'], table['method']))
    table['diverged'] = [diverged.get(cell, 0) for cell in cells]
    first = table.iloc[0]
    rows = [
        dict(
            setting=setting,
            method=method,
            request='mean',
            last=False,
            protocol=first['protocol'],
            score=first['score'],
            n=0,
            diverged=count) for (setting, method), count in diverged.items()
        if (setting, method) not in cells
    ]
    return pd.concat([table, pd.DataFrame(rows)]) if rows else table


def _ordered(settings, table):
    """Rows as in the config: means first, by setting, then by method."""
    places = [list(settings.settings.values), list(settings.titles)]
    keys = pd.DataFrame(
        dict(
            each=table['request'] != 'mean',
            setting=table['setting'].map(places[0].index),
            request=[0 if r == 'mean' else r for r in table['request']],
            method=table['method'].map(places[1].index)))
    keys.index = table.index = range(len(table))
    order = keys.sort_values(list(keys.columns), kind='stable').index
    return table.loc[order].reset_index(drop=True)


def _with_recovery(table, path):
    """Recovered values, where ``tools/recover.py`` measured them."""
    if not path.is_file():
        return table
    found = pd.read_csv(path, dtype={'setting': str, 'method': str})
    last = found[found['last']]
    keys = [*AXES, 'protocol', 'variant']
    spread = last.groupby(keys, sort=False)['f'].agg(['mean', 'std'])
    for variant, rows in spread.groupby('variant', sort=False):
        rows = rows.droplevel('variant')
        cells = pd.MultiIndex.from_frame(table[[*AXES, 'protocol']])
        for what in ('mean', 'std'):
            values = rows[what].reindex(cells).to_numpy()
            # It is about the run as a whole.
            shown = (table['request'] == 'mean') | table['last']
            table[f'recovered_{variant}_{what}'] = pd.Series(
                values, index=table.index).where(shown)
    return table


def _notes(runs, settings, chosen, hopeless):
    """What the tables do not show: lists of names by heading."""
    titles = settings.titles
    waiting = [n for n, c in chosen.items() if c is None and n not in hopeless]
    notes = {
        'Not finished': [run.title for run in runs if not run.is_settled()],
        'Not tuned yet': [titles[name] for name in waiting],
        'Diverged': [
            f'{run.title} ({run.diverged()})'
            for run in runs if not run.is_done() and run.diverged()
        ] +
        [f'{titles[name]} (every trial of its search)' for name in hopeless],
    }
    return {heading: names for heading, names in notes.items() if names}
