"""``summary.json``, ``.csv`` and ``.md``: the run in one table."""
from pathlib import Path

import pandas as pd

from ..evaluation import format_gallery, format_table, measure_of, to_csv_rows
from ..utils import ForgetError, atomic_path, write_json, write_text
from .artefact_forms import (read_gallery, read_groups, read_metrics,
                             read_report, read_training)

GALLERY = 'gallery.json'


def read_requests(work_dir):
    """Read what every finished request of a run left behind.

    Args:
        work_dir (str | Path): Folder of the run.

    Returns:
        list[dict]: One row per finished request: its metrics, plus
        ``zero_groups`` (``'k/G'``, ``'-'`` without LoRA), ``zero_ratio`` and
        ``adapter_bytes`` (None without LoRA), ``trained_parameters`` and
        ``trained_ratio``, their share of the model without LoRA,
        ``stored_bytes``, what the method keeps, ``seconds`` and
        ``peak_memory_mb``; and ``gallery``, the numbers of
        the gallery test if there are any (``gallery.json``).
    """
    rows = []
    for path in _metrics_files(Path(work_dir)):
        row = read_metrics(path)
        groups = read_groups(path.with_name('groups.json'))
        cost = read_training(path.with_name('training.json'))
        total = len(groups['groups'])
        row.update(
            zero_groups=f'{groups.get("zero_groups")}/{total}'
            if total else '-',
            zero_ratio=groups.get('zero_ratio'),
            adapter_bytes=groups.get('adapter_bytes'),
            **_trained(cost),
            seconds=cost['seconds'],
            peak_memory_mb=cost.get('peak_memory_mb'))
        gallery = path.with_name(GALLERY)
        if gallery.is_file():
            row['gallery'] = read_gallery(gallery)
        rows.append(row)
    return rows


def _trained(cost):
    """How much trained and was stored; nothing where nobody noted it."""
    trained, total = map(cost.get, ('trained_parameters', 'total_parameters'))
    if trained is None or not total:
        return {}
    return dict(
        trained_parameters=trained,
        trained_ratio=trained / total,
        stored_bytes=cost.get('stored_bytes'))


def _metrics_files(work_dir):
    """Those of finished requests, by number: 100 comes after 11."""
    found = {
        int(p.parent.name[8:]): p
        for p in work_dir.glob('request_*/metrics.json')
        if p.parent.name[8:].isdigit()
    }
    return [found[index] for index in sorted(found)]


def write_summary(work_dir):
    """Collect the run's results into ``summary.json``, ``.csv``, ``.md``.

    Args:
        work_dir (str | Path): Folder of the run.

    Returns:
        dict: ``base`` (the pre-trained model's numbers over all classes) and
        ``requests`` (see :func:`read_requests`).

    Raises:
        ForgetError: If no request is finished.
    """
    work_dir = Path(work_dir)
    rows = read_requests(work_dir)
    if not rows:
        raise ForgetError(f'{work_dir} holds no finished request')
    base = read_report(work_dir / 'base' / 'report.json')['all']
    summary = dict(base=base, requests=rows)
    write_json(work_dir / 'summary.json', summary)
    with atomic_path(work_dir / 'summary.csv') as partial:
        pd.DataFrame(to_csv_rows(rows)).to_csv(partial, index=False)
    write_text(work_dir / 'summary.md',
               f'```\n{render_summary(summary)}\n```\n')
    return summary


def render_summary(summary):
    """The summary as the tables that the tools print."""
    base = summary['base']
    measure = measure_of(base)
    value = base[measure.overall][measure.score]
    number = '-' if value is None else f'{value:.3f}'
    table = format_table(
        summary['requests'],
        title=f'base model: {measure.title} {number} over all classes')
    gallery = format_gallery(summary['requests'])
    return f'{table}\n\n{gallery}' if gallery else table
