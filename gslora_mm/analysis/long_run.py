"""What a long sequence of requests costs, and what comes back in it."""
from pathlib import Path

import pandas as pd

from ..evaluation import measure_of
from ..lora.delta import low_rank_delta
from ..utils import atomic_path, write_text
from .artefact_forms import read_metrics, read_training
from .long_figure import draw_long_run
from .run_folder import finished_requests, load_base, load_request
from .study_markdown import text_table

_MB = 2**20
# Header and format of what is printed.
_SHOWN = dict(
    seconds=('seconds', '.1f'),
    memory_mb=('memory MB', '.0f'),
    disk_mb=('disk MB', '.2f'),
    adapter_kb=('adapter KB', '.0f'),
    drift=('drift, largest', '.1e'),
    drift_relative=('drift, relative', '.1e'),
    f=('{score}_f', '.3f'),
    r=('{score}_r', '.3f'),
    r_base=('{score}_r of the base', '.3f'),
    o=('{score}_o', '.3f'),
    worst=('highest forgotten', '.3f'))


def analyze_long_run(work_dir, base=None, out=None):
    """Write ``sequence.csv``, ``.md`` and ``.png`` of a run.

    Args:
        work_dir (str | Path): Folder of the run.
        base (str, optional): The original checkpoint, if it was moved.
        out (str | Path, optional): Where the files go; default
            ``work_dir/analysis``.

    Returns:
        str: The table and what follows from it.

    Raises:
        ForgetError: If a file is missing, damaged or of another run.
    """
    table = measure_long_run(work_dir, base)
    out = Path(out or Path(work_dir) / 'analysis')
    with atomic_path(out / 'sequence.csv') as partial:
        table.to_csv(partial, index=False)
    text = f'{_render(table)}\n\n{_conclusion(table)}'
    write_text(out / 'sequence.md', text + '\n')
    with atomic_path(out / 'sequence.png') as partial:
        draw_long_run(table, partial)
    return text


def measure_long_run(work_dir, base=None):
    """One line for each finished request.

    ``drift`` is how far the chain of merged checkpoints is from the base plus
    the sum of all adapters in double precision, the largest difference of a
    weight; ``drift_relative`` its Frobenius norm over that of the sum of the
    updates. ``o`` is the mean over all classes of earlier requests, ``worst``
    the highest value of one of them, ``worst_class`` its name.

    Args:
        work_dir (str | Path): Folder of the run.
        base (str, optional): The original checkpoint, if it was moved.

    Returns:
        DataFrame: ``request``, ``classes``, ``seconds``, ``memory_mb``,
        ``disk_mb``, ``adapter_kb``, ``zero_groups``, ``drift``,
        ``drift_relative``, ``score``, ``f``, ``r``,
        ``r_base``, ``o``, ``worst``, ``worst_class``.
    """
    folders, _ = finished_requests(work_dir)
    _, original, _ = load_base(work_dir, base)
    exact, gone, rows = _Exact(original), [], []
    for index, folder in folders:
        files = load_request(index, folder)
        exact.add(files)
        metrics = read_metrics(folder / 'metrics.json')
        cost = read_training(folder / 'training.json')
        rows.append(
            dict(
                request=index,
                classes=', '.join(metrics['classes']),
                seconds=cost['seconds'],
                memory_mb=cost.get('peak_memory_mb', float('nan')),
                disk_mb=_size(folder) / _MB,
                adapter_kb=(files.adapter_bytes or 0) / 1024,
                zero_groups=files.groups['zero_groups'],
                **exact.drift(files.merged),
                **_scores(metrics, gone)))
        gone += metrics['classes']
    return pd.DataFrame(rows)


class _Exact:
    """The original weights plus all adapters, in double precision."""

    def __init__(self, original):
        self.original, self.moved = original, {}

    def add(self, files):
        """Add the adapter of a request."""
        layers = {key.rpartition('.')[0] for key in files.adapter}
        for layer in sorted(layers):
            pair = [
                files.adapter.get(f'{layer}.{name}')
                for name in ('lora_A', 'lora_B')
            ]
            if None in pair:
                continue
            delta = low_rank_delta(*(t.double() for t in pair),
                                   files.adapter_meta['scaling'][layer])
            key = f'{layer}.weight'
            self.moved[key] = self.moved.get(key, 0) + delta

    def drift(self, merged):
        """How far a merged checkpoint is from it."""
        largest, apart, update = 0., 0., 0.
        for key, delta in self.moved.items():
            gap = merged[key].double() - self.original[key].double() - delta
            largest = max(largest, float(gap.abs().max()))
            apart += float(gap.square().sum())
            update += float(delta.square().sum())
        relative = (apart / update)**.5 if update else 0.
        return dict(drift=largest, drift_relative=relative)


def _scores(metrics, gone):
    """What the request forgot, what stays, what came back."""
    measure = measure_of(metrics)
    score = measure.score
    found = metrics.get(measure.overall) or metrics[measure.protocols[0]]
    each = {name: found['per_class'].get(name) or 0. for name in gone}
    worst = max(gone, key=each.get, default='')
    return dict(
        score=score,
        f=found[f'{score}_f'],
        r=found[f'{score}_r'],
        r_base=found[f'{score}_r_base'],
        o=found.get(f'{score}_o'),
        worst=each.get(worst),
        worst_class=worst)


def _size(folder):
    """Bytes of all files of a request, logs included."""
    return sum(p.stat().st_size for p in Path(folder).rglob('*')
               if p.is_file())


def _render(table):
    """The table as Markdown."""
    score = table['score'][0]
    return text_table(
        ['#', 'classes'],
        [header.format(score=score) for header, _ in _SHOWN.values()], [[
            str(row['request']), row['classes'],
            *(_cell(row[key], form) for key, (_, form) in _SHOWN.items())
        ] for _, row in table.iterrows()])


def _cell(value, form):
    return '-' if pd.isna(value) else format(value, form)


def _conclusion(table):
    """First and last request compared, and what came back."""
    first, last = table.iloc[0], table.iloc[-1]
    lines = [
        f'request {last["request"]} / request {first["request"]}: ' +
        ', '.join(f'{name} {_cell(last[key] / first[key], ".2f")}'
                  for key, name in (('seconds', 'time'),
                                    ('memory_mb', 'memory'),
                                    ('disk_mb', 'disk')))
    ]
    known = table.dropna(subset=['worst'])
    if len(known):
        worst = known.loc[known['worst'].astype(float).idxmax()]
        lines.append(
            f'highest {worst["score"]} of a class after a later request: '
            f'{worst["worst"]:.3f} ({worst["worst_class"]}, request '
            f'{worst["request"]})')
    lines.append(
        f'largest drift of a merged weight: {table["drift"].max():.1e}'
        f' ({table["drift_relative"].max():.1e} of the updates)')
    return '\n'.join(lines)
