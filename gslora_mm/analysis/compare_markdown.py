"""The table of a comparison as Markdown."""
import pandas as pd

from .study_markdown import markdown_table

# Header and format of what is printed; the CSV has more.
_SCORES = {
    'H': ('H', '.3f'),
    'r': ('{score}_r', '.3f'),
    'f': ('{score}_f', '.3f'),
    'o': ('{score}_o', '.3f'),
    'm': ('{score}_m', '.3f'),
}
_COSTS = {
    'zero_ratio': ('zero groups %', '.0f'),
    'trained_ratio': ('trained %', '.2f'),
    'stored_kb': ('stored KB', ',.0f'),
    'seconds': ('seconds', '.1f'),
    'iteration_seconds': ('s / iteration', '.3f'),
    'peak_memory_mb': ('memory MB', ',.0f'),
}
_RECOVERED = 'recovered_'


def render_comparison(settings, table, chosen, notes):
    """The table as Markdown that reads well on a terminal, too.

    Args:
        settings (ComparisonSettings): The comparison.
        table (DataFrame): Means and spreads, with ``title`` and ``diverged``.
        chosen (dict[str, dict | None]): What the search found, by method.
        notes (dict[str, list[str]]): What is missing, by heading.

    Returns:
        str: Without a newline at its end.
    """
    first = table['protocol'].iloc[0]
    parts = [f'# {settings.name}', _legend(table, first)]
    shown = table[table['protocol'] == first]
    for name in settings.settings.values:
        parts += _of_setting(name, shown[shown['setting'] == name])
    parts += ['## What the search chose', _tuned(settings, chosen)]
    parts += [
        f'{heading}, {len(names)}: {"; ".join(names)}.'
        for heading, names in notes.items()
    ]
    return '\n\n'.join(parts)


def _of_setting(name, rows):
    """Headings and tables of one setting."""
    if not len(rows):
        return []
    means = rows[rows['request'] == 'mean']
    each = rows[rows['request'] != 'mean']
    several = (each['request'] > 1).any()
    summary = pd.concat([means, each[each['last']]]).drop_duplicates('method')
    parts = [
        f'## {name}' + (', mean over the requests' if several else ''),
        _table(summary, ['method', 'n'], {
            **_with_recovered(_SCORES, summary),
            **_COSTS
        })
    ]
    if several:
        parts += [
            f'## {name}, after each request',
            _table(each, ['request', 'method', 'n'], {
                **_SCORES,
                **_COSTS
            })
        ]
    return parts


def _legend(table, protocol):
    more = table['protocol'].nunique() > 1
    return ('Mean (standard deviation) over n seeds' +
            (f', protocol {protocol}.' if more else '.'))


def _with_recovered(shown, table):
    """What was recovered, beside H."""
    columns = {}
    for key, value in shown.items():
        columns[key] = value
        if key == 'H':
            columns.update({
                column.removesuffix('_mean'):
                (f'{column[len(_RECOVERED):-5]} recovered', '.3f')
                for column in table if column.startswith(_RECOVERED)
                and column.endswith('_mean') and table[column].notna().any()
            })
    return columns


def _table(rows, first, shown):
    """Those columns of which anything was measured."""
    shown = {
        key: value
        for key, value in shown.items()
        if f'{key}_mean' in rows and rows[f'{key}_mean'].notna().any()
    }
    texts = [
        f'{int(n)}, {int(d)} diverged' if d else str(int(n))
        for n, d in zip(rows['n'], rows['diverged'])
    ]
    return markdown_table(
        rows.assign(method=rows['title'], n=texts), first, shown)


def _tuned(settings, chosen):
    """One line for each method."""
    lines = ['| method | chosen | H | trials |', '|---|---|---|---|']
    for name, title in settings.titles.items():
        found = chosen[name]
        if found is None:
            cells = '-', '-', '-'
        elif not found['trials']:
            cells = 'nothing to tune', '-', '0'
        else:
            cells = (found['trial'].replace(',',
                                            ', '), f'{found["score"]:.3f}',
                     str(found['trials']))
        lines.append(f'| {" | ".join((title, *cells))} |')
    return '\n'.join(lines)
