"""What is left of forgotten classes, one line for each model."""
import pandas as pd

from ..utils import atomic_path
from .probe_table import collect_apart, collect_probes, render_probes
from .proof_columns import (BEFORE, BLOCK, FEATURES, OUTPUTS, PREFIXES,
                            REFERENCE, header, is_steps, numbers_of)
from .proof_figure import draw_probes, draw_proof
from .recover_table import BACK, ORIGINAL, collect_curves
from .study_markdown import text_table

_MODEL = ['setting', 'protocol', 'score', 'method', 'title']


def write_proof(name, curves, probes, kinds, out):
    """Write ``proof`` and ``probes``: CSV, Markdown and figures.

    Args:
        name (str): Title of the recovery.
        curves (list[tuple]): As for
            :func:`~gslora_mm.analysis.recover_table.write_recovery`.
        probes (list[tuple]): Target and what
            :func:`~gslora_mm.engine.recovery.probe_run.measure_probes`
            returned, of each model; may be empty.
        kinds (dict[str, str]): ``'head'``, ``'tune'`` or ``'prototype'`` of
            each variant.
        out (Path): The folder.

    Returns:
        str: The content of ``proof.md``.
    """
    blocks, apart = collect_probes(probes), collect_apart(probes)
    lines = collect_proof(collect_curves(curves), blocks, apart, kinds)
    table = summarise_proof(lines)
    frames = dict(proof=table)
    if probes:
        frames['probes'] = blocks
        frames['apart'] = apart
    for file, frame in frames.items():
        with atomic_path(out / f'{file}.csv') as partial:
            frame.to_csv(partial, index=False)
    text = _render(name, table, blocks)
    with atomic_path(out / 'proof.md') as partial:
        partial.write_text(text + '\n')
    for suffix in ('png', 'pdf'):
        with atomic_path(out / f'proof.{suffix}') as partial:
            draw_proof(name, table, partial)
        if probes:
            with atomic_path(out / f'probes.{suffix}') as partial:
                draw_probes(name, blocks, apart, partial)
    return text


def collect_proof(curves, blocks, apart, kinds):
    """All numbers, one line for each.

    Args:
        curves (DataFrame): What
            :func:`~gslora_mm.analysis.recover_table.collect_curves` returned.
        blocks (DataFrame): Linear probes.
        apart (DataFrame): Areas under ROC curves.
        kinds (dict[str, str]): Of each variant.

    Returns:
        DataFrame: Columns of :data:`_MODEL`, ``seed``, ``what``, ``value``,
        and ``limit``: where ``value`` is the last step because the classes
        were not back by then, True.
    """
    lines = []
    for key, rows in curves.groupby([*_MODEL, 'variant', 'seed'], sort=False):
        *model, variant, seed = key
        base = dict(zip(_MODEL, model), seed=seed)
        rows = rows.sort_values('step')
        lines.append(dict(base, what=BEFORE, value=rows['f'].iloc[0]))
        lines.append(dict(base, what=f'f_{variant}', value=rows['f'].iloc[-1]))
        if kinds[variant] != 'tune':
            continue
        for prefix, aim in _aims(curves, model, variant).items():
            there = steps_until(rows['step'], rows['f'], aim)
            lines.append(
                dict(
                    base,
                    what=prefix + variant,
                    limit=there is None,
                    value=rows['step'].iloc[-1] if there is None else there))
    found = pd.DataFrame(lines).drop_duplicates([*_MODEL, 'seed', 'what'])
    found['limit'] = found.get('limit', pd.Series(dtype=object)).reindex(
        found.index).eq(True)
    return pd.concat([found, _probed(found, blocks, apart)])


def steps_until(steps, values, aim):
    """When a curve first reaches some value.

    Args:
        steps (Sequence[int]): Ascending. What was measured at step 0 is the
            model before its rows were drawn anew, which know nothing: the
            curve begins at zero.
        values (Sequence[float]): Measured there.
        aim (float): The value.

    Returns:
        float | None: Between two measurements, on the line that joins them;
        None if it is never reached.
    """
    before, low = 0, 0.
    for step, value in zip(steps, values):
        if step > 0:
            if value >= aim:
                if value <= low:
                    return float(step)
                share = max(0., (aim - low) / (value - low))
                return float(before + share * (step - before))
            before, low = step, value
    return None


def _aims(curves, model, variant):
    """Values that count as back: a share of what two models know.

    The original as it is; and the model that never saw the classes, at the
    end of the same curve: from few images nobody may come up to the former.
    """
    setting, protocol = model[:2]
    same = curves[(curves['setting'] == setting)
                  & (curves['protocol'] == protocol)
                  & (curves['variant'] == variant)]
    known = dict(
        zip(PREFIXES,
            (same[(same['method'] == ORIGINAL) & (same['step'] == 0)]['f'],
             same[(same['method'] == REFERENCE) & same['last']]['f'])))
    return {k: BACK * f.mean() for k, f in known.items() if len(f)}


def _probed(found, blocks, apart):
    """Best block and areas, beside every protocol of the curves."""
    keys, lines = ['setting', 'method', 'title', 'seed'], []
    if not len(blocks):
        return found[:0]
    best = blocks.groupby(keys, sort=False)['f'].max()
    outputs = apart[apart['of'] != 'features']
    parts = {
        BLOCK: best,
        OUTPUTS: outputs.groupby(keys, sort=False)['area'].max(),
        FEATURES: apart[apart['of'] == 'features'].set_index(keys)['area']
    }
    scores = found.groupby(['setting', 'protocol', 'score'], sort=False)
    for setting, protocol, score in scores.groups:
        for what, values in parts.items():
            for key, value in values.items():
                if key[0] == setting:
                    lines.append(
                        dict(
                            zip(keys, key),
                            protocol=protocol,
                            score=score,
                            what=what,
                            value=value,
                            limit=False))
    return pd.DataFrame(lines)


def summarise_proof(lines):
    """Mean and spread over the seeds, each beside the reference's.

    Args:
        lines (DataFrame): What :func:`collect_proof` returned.

    Returns:
        DataFrame: One line per setting, protocol and model, with ``n`` seeds
        and for each number ``{name}_mean``, ``{name}_std``,
        ``{name}_reference``, and for numbers of steps ``{name}_limit``:
        whether some seed was not there at the last step, so that the mean is
        a lower bound.
    """
    keys = _MODEL
    models = lines.groupby(keys, sort=False)
    table = pd.DataFrame(dict(n=models['seed'].nunique()))
    for what, rows in lines.groupby('what', sort=False):
        groups = rows.groupby(keys, sort=False)
        table[f'{what}_mean'] = groups['value'].mean()
        table[f'{what}_std'] = groups['value'].std()
        if is_steps(what):
            limit = groups['limit'].any()
            table[f'{what}_limit'] = limit.reindex(table.index).eq(True)
    table = table.reset_index()
    known = table[table['method'] == REFERENCE].set_index(
        ['setting', 'protocol'])
    place = pd.MultiIndex.from_frame(table[['setting', 'protocol']])
    for column in [c for c in table if c.endswith('_mean')]:
        table[f'{column[:-5]}_reference'] = known[column].reindex(
            place).to_numpy()
    return table


def _render(name, table, blocks):
    """The tables as Markdown, of the first protocol."""
    protocols = table['protocol'].nunique()
    first = table['protocol'].iloc[0]
    parts = [
        f'# {name}: what is left', 'Mean (standard deviation) over n seeds' +
        ('; in brackets the difference to the model that never saw the classes'
         if (table['method'] == REFERENCE).any() else '') +
        (f'; protocol {first}.' if protocols > 1 else '.')
    ]
    for setting, rows in table[table['protocol'] == first].groupby(
            'setting', sort=False):
        score = rows['score'].iloc[0]
        shown = [
            w for w in numbers_of(rows) if rows[f'{w}_mean'].notna().any()
        ]
        # Nothing can be said of a difference to a lower bound.
        bounds = {
            w
            for w in shown
            if is_steps(w) and rows.loc[rows['method'] == REFERENCE,
                                        f'{w}_limit'].any()
        }
        cells = [[
            row['title'],
            str(row['n']), *(_cell(row, w, w in bounds) for w in shown)
        ] for _, row in rows.iterrows()]
        parts += [
            f'## {setting}',
            text_table(['model', 'n'], [header(w, score) for w in shown],
                       cells)
        ]
        of_setting = blocks[blocks['setting'] == setting] if len(
            blocks) else blocks
        if len(of_setting):
            parts += [
                f'### {setting}: linear probes, accuracy on forgotten classes',
                render_probes(of_setting)
            ]
    return '\n\n'.join(parts)


def _cell(row, what, bound):
    """A mean, its spread and its difference to the reference.

    Args:
        row (Series): Of a model.
        what (str): Name of the number.
        bound (bool): Whether that of the reference is a lower bound.
    """
    mean, std = row[f'{what}_mean'], row[f'{what}_std']
    if pd.isna(mean):
        return '-'
    steps = is_steps(what)
    form = '.0f' if steps else '.3f'
    above = steps and row[f'{what}_limit']
    text = ('> ' if above else '') + f'{mean:{form}}'
    if not pd.isna(std):
        text += f' ({std:{form}})'
    known = row[f'{what}_reference']
    if pd.isna(known) or row['method'] == REFERENCE or above or bound:
        return text
    return f'{text} [{mean - known:+{form}}]'
