"""The tables of a recovery: what came back, step by step."""
import json

import pandas as pd

from ..utils import atomic_path, write_json, write_text
from .recover_figure import draw_recovery
from .study_markdown import markdown_table

_KEYS = ['setting', 'variant', 'method', 'title', 'protocol', 'score']
ORIGINAL = 'original'
# A class counts as back at this share of what the original knows.
BACK = .9
_SHOWN = {
    'f_start': ('{score}_f before', '.3f'),
    'f': ('{score}_f after', '.3f'),
    'share': ('% of the original', '.1f'),
    'back': ('steps to 90 %', '.0f'),
    'r_start': ('{score}_r before', '.3f'),
    'r': ('{score}_r after', '.3f'),
}


def write_recovery(name, curves, missing, out):
    """Write ``recover.csv``, ``.json``, ``.md`` and the figure.

    Args:
        name (str): Title of the recovery.
        curves (list[tuple]): Target, variant and points of each curve; see
            :func:`~gslora_mm.engine.recovery.measure.measure_curve`.
        missing (list[str]): Names of the curves that are not measured.
        out (Path): The folder.

    Returns:
        str: The content of ``recover.md``.
    """
    frame = collect_curves(curves)
    with atomic_path(out / 'recover.csv') as partial:
        frame.to_csv(partial, index=False)
    table = summarise_curves(frame)
    write_json(out / 'recover.json',
               json.loads(table.to_json(orient='records')))
    text = _render(name, table, missing)
    write_text(out / 'recover.md', text + '\n')
    for suffix in ('png', 'pdf'):
        with atomic_path(out / f'recover.{suffix}') as partial:
            draw_recovery(name, frame, partial)
    return text


def collect_curves(curves):
    """DataFrame: One line per curve, step and protocol."""
    lines = [
        dict(
            setting=target.setting,
            method=target.method,
            title=target.title,
            seed=target.seed,
            variant=variant,
            last=point['step'] == max(p['step'] for p in points),
            **point) for target, variant, points in curves for point in points
    ]
    return pd.DataFrame(lines).astype(dict(f=float, r=float))


def summarise_curves(frame):
    """Beginning and end of every curve, mean and spread over the seeds.

    Args:
        frame (DataFrame): What :func:`collect_curves` returned.

    Returns:
        DataFrame: One line per setting, variant, model and protocol, in the
        order of the curves, with ``n`` seeds and, as ``{name}_mean`` and
        ``{name}_std``: ``f_start``, ``r_start`` before, ``f``, ``r`` after
        the last step; ``share``, 100 f over that of the original model
        before its first step; and ``back``, the first step after which f is
        90 % of that, NaN unless every seed got there.
    """
    first = frame[(frame['step'] == 0) & (frame['method'] == ORIGINAL)]
    known = first.groupby(['setting', 'protocol'])['f'].mean()
    lines = []
    for key, rows in frame.groupby([*_KEYS, 'seed'], sort=False):
        line = dict(zip([*_KEYS, 'seed'], key))
        rows = rows.sort_values('step')
        start, end = rows.iloc[0], rows.iloc[-1]
        aim = known.get((line['setting'], line['protocol']), float('nan'))
        # At step 0 it is the model as it was left.
        there = rows['step'][(rows['step'] > 0) & (rows['f'] >= BACK * aim)]
        lines.append(
            dict(
                line,
                f_start=start['f'],
                r_start=start['r'],
                f=end['f'],
                r=end['r'],
                share=100 * end['f'] / aim if aim else float('nan'),
                back=there.iloc[0] if len(there) else float('nan')))
    numbers = list(_SHOWN)
    groups = pd.DataFrame(lines).groupby(_KEYS, sort=False)
    spread = groups[numbers].agg(['mean', 'std'])
    spread.columns = [f'{name}_{what}' for name, what in spread.columns]
    spread.insert(0, 'n', groups.size())
    whole = groups['back'].count() == groups.size()
    spread['back_mean'] = spread['back_mean'].where(whole)
    return spread.reset_index()


def _render(name, table, missing):
    """The tables as Markdown, of the first protocol."""
    protocol = table['protocol'].iloc[0]
    parts = [
        f'# {name}', 'Mean (standard deviation) over n seeds' +
        (f', protocol {protocol}.' if table['protocol'].nunique() > 1 else '.')
    ]
    shown = table[table['protocol'] == protocol]
    for (setting, variant), rows in shown.groupby(['setting', 'variant'],
                                                  sort=False):
        parts += [
            f'## {setting}, {variant}',
            markdown_table(
                rows.assign(model=rows['title']), ['model', 'n'], _SHOWN)
        ]
    if missing:
        parts.append(f'Not measured, {len(missing)}: {"; ".join(missing)}.')
    return '\n\n'.join(parts)
