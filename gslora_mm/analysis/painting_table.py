"""What a probe of paintings found: table and pictures."""
import pandas as pd

from ..utils import atomic_path, write_text
from .figures import new_figure, plain_text
from .study_markdown import text_table

_SIDE = 1.9


def write_painting(report, original, out):
    """Write ``painting.csv``, ``painting.md`` and ``painting.png``.

    Args:
        report (PaintingReport): See
            :func:`~gslora_mm.engine.painting_probe.probe_paintings`.
        original (str): What it calls images that are not painted.
        out (Path): The folder.

    Returns:
        str: The content of ``painting.md``.
    """
    out.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(report.rows)
    with atomic_path(out / 'painting.csv') as partial:
        table.to_csv(partial, index=False)
    text = _render(table)
    write_text(out / 'painting.md', text + '\n')
    for suffix in ('png', 'pdf'):
        with atomic_path(out / f'painting.{suffix}') as partial:
            _draw(report.pictures, original, partial)
    return text


def _render(table):
    wide = table.pivot(index='layer', columns='fill', values='auc')
    wide = wide.reindex(
        table['layer'].unique(), columns=table['fill'].unique())
    lines = [[layer, *('-' if pd.isna(v) else f'{v:.3f}' for v in row)]
             for layer, row in zip(wide.index, wide.to_numpy())]
    pairs = table.drop_duplicates('fill').set_index('fill')['pairs']
    lines.append(['pairs of boxes', *(f'{pairs[f]}' for f in wide.columns)])
    return '\n\n'.join(
        ('# Can the model tell where objects were?',
         'Area under the ROC curve of a linear probe, painted boxes against '
         'untouched ones of the same size: 0.5 if it cannot.',
         text_table(['block'], list(wide.columns), lines)))


@plain_text()
def _draw(pictures, original, path):
    """A row for each image, a column for each fill."""
    fills = [k for k in pictures[0] if k not in ('image', 'boxes')]
    figure = new_figure(_SIDE * len(fills), .3 + _SIDE * len(pictures))
    grid = figure.subplots(len(pictures), len(fills), squeeze=False)
    for row, picture in zip(grid, pictures):
        for axes, fill in zip(row, fills):
            axes.set_axis_off()
            if fill in picture:
                axes.imshow(picture[fill][..., ::-1])
            if fill == original:
                for x1, y1, x2, y2 in picture['boxes']:
                    axes.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1],
                              color='red',
                              linewidth=.8)
    for axes, fill in zip(grid[0], fills):
        axes.set_title(fill, fontsize=9)
    figure.savefig(path, dpi=150)
