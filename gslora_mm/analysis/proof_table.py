"""What is left of forgotten classes, one line for each model."""
import numpy as np
import pandas as pd

from ..utils import atomic_path
from .probe_table import collect_apart, collect_probes, render_probes
from .proof_columns import (BEFORE, BLOCK, FEATURES, OUTPUTS, REFERENCE,
                            header, is_steps, numbers_of)
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
        end = dict(base, value=rows['f'].iloc[-1])
        if kinds[variant] != 'tune':
            lines.append(dict(end, what=f'f_{variant}'))
            continue
        aim = _aim(curves, model)
        there = rows['step'][(rows['step'] > 0) & (rows['f'] >= aim)]
        lines.append(
            dict(
                base,
                what=f'steps_{variant}',
                limit=not len(there),
                value=there.iloc[0] if len(there) else rows['step'].iloc[-1]))
    found = pd.DataFrame(lines).drop_duplicates([*_MODEL, 'seed', 'what'])
    if 'limit' not in found:
        found['limit'] = False
    return pd.concat([found, _probed(found, blocks, apart)])


def _aim(curves, model):
    """What counts as back: a share of what the original knows."""
    same = (curves['setting'] == model[0]) & (curves['protocol'] == model[1])
    first = curves[same & (curves['method'] == ORIGINAL)
                   & (curves['step'] == 0)]
    return BACK * first['f'].mean() if len(first) else np.inf


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
        f'# {name}: what is left',
        'Mean (standard deviation) over n seeds; in brackets the difference '
        'to the model that never saw the classes' +
        (f'; protocol {first}.' if protocols > 1 else '.')
    ]
    for setting, rows in table[table['protocol'] == first].groupby(
            'setting', sort=False):
        score = rows['score'].iloc[0]
        shown = [w for w in numbers_of(rows) if rows[f'{w}_mean'].notna().any()]
        cells = [[row['title'], str(row['n']), *(_cell(row, w) for w in shown)]
                 for _, row in rows.iterrows()]  # yapf: disable
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


def _cell(row, what):
    """A mean, its spread and its difference to the reference."""
    mean, std = row[f'{what}_mean'], row[f'{what}_std']
    if pd.isna(mean):
        return '-'
    steps = is_steps(what)
    form = '.0f' if steps else '.3f'
    text = ('> ' if steps and row[f'{what}_limit'] else '') + f'{mean:{form}}'
    if not pd.isna(std):
        text += f' ({std:{form}})'
    known = row[f'{what}_reference']
    if pd.isna(known) or row['method'] == REFERENCE:
        return text
    return f'{text} [{mean - known:+{form}}]'

