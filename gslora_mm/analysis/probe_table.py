"""Tables of the probes of frozen features."""
import pandas as pd

from .study_markdown import text_table

_KEYS = ['setting', 'method', 'title', 'seed']
APART = ('max_logit', 'entropy', 'energy', 'outputs', 'features')


def collect_probes(probes):
    """DataFrame: Accuracies, one line per block, model and seed.

    Args:
        probes (list[tuple]): Target and what
            :func:`~gslora_mm.engine.recovery.probe_run.measure_probes`
            returned.
    """
    lines = [
        dict(_of(target), block=place, **layer) for target, found in probes
        for place, layer in enumerate(found['layers'])
    ]
    frame = pd.DataFrame(lines, columns=[*_KEYS, 'block', 'layer', 'f', 'r'])
    return frame.astype(dict(f=float, r=float))


def collect_apart(probes):
    """DataFrame: Areas under ROC curves, one line per question and model."""
    lines = [
        dict(_of(target), of=name, area=area) for target, found in probes
        for name, area in found['apart'].items()
    ]
    return pd.DataFrame(
        lines, columns=[*_KEYS, 'of', 'area']).astype(dict(area=float))


def _of(target):
    return {key: getattr(target, key) for key in _KEYS}


def render_probes(blocks):
    """Accuracy on forgotten classes, a line for each block.

    Args:
        blocks (DataFrame): Of one setting; see :func:`collect_probes`.

    Returns:
        str: Markdown; mean and, of several seeds, standard deviation.
    """
    titles = list(dict.fromkeys(blocks['title']))
    lines = []
    for layer, rows in blocks.groupby('layer', sort=False):
        of = rows.groupby('title')['f'].agg(['mean', 'std'])
        lines.append([layer, *(_cell(of, title) for title in titles)])
    return text_table(['block'], titles, lines)


def _cell(of, title):
    if title not in of.index or pd.isna(of.loc[title, 'mean']):
        return '-'
    mean, std = of.loc[title]
    return f'{mean:.3f}' if pd.isna(std) else f'{mean:.3f} ({std:.3f})'
