"""Figures of the groups: weight change per request, norms over training."""
import contextlib
import math
import warnings

from ..utils import shown

_CLASSES_WIDTH = 16
_MAX_NUMBERS = 12
_PANELS_PER_ROW = 3
_LABEL_LENGTH = 60


@contextlib.contextmanager
def plain_text():
    """Draw names as they are: ``$`` begins no formula, any letter will do."""
    import matplotlib
    with matplotlib.rc_context({'text.parse_math': False}):
        with warnings.catch_warnings():
            # A missing letter is drawn as a box.
            warnings.filterwarnings('ignore', message='Glyph')
            yield


def new_figure(width, height):
    """A figure that needs no display and leaves pyplot's state alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


@plain_text()
def draw_heatmap(report, path):
    """Draw how far every request moved every group.

    Zero groups are hatched and marked 0.

    Args:
        report (dict): What ``analyze_groups`` returned.
        path (str | Path): The image to write.
    """
    import numpy as np
    requests = report['requests']
    names = [g['name'] for g in requests[0]['groups']]
    labels = [shown(name, _LABEL_LENGTH) for name in names]
    values = np.full((len(names), len(requests)), np.nan)
    zero = np.zeros(values.shape, bool)
    for column, row in enumerate(requests):
        found = {g['name']: g for g in row['groups']}
        for line, name in enumerate(names):
            if name in found and found[name]['update_norm'] is not None:
                values[line, column] = found[name]['update_norm']
                zero[line, column] = found[name]['zero']
    figure = new_figure(
        max(6., 3.5 + .08 * max(map(len, labels)) + .95 * len(requests)),
        max(3., 1.6 + .36 * len(names)))
    axes = figure.add_subplot()
    image = axes.imshow(
        np.ma.masked_where(zero | np.isnan(values), values),
        cmap='viridis',
        aspect='auto',
        vmin=0)
    figure.colorbar(image, label='norm of the weight change')
    axes.set_yticks(range(len(names)), labels)
    axes.set_xticks(
        range(len(requests)),
        [f'{r["request"]}\n{_short(r["classes"])}' for r in requests],
        rotation=0 if len(requests) <= 6 else 60)
    axes.set(xlabel='request and the classes it forgets', ylabel='group')
    axes.set_title(
        'Weight change of every group (hatched 0: group exactly '
        'zero)',
        fontsize=10)
    _mark_cells(axes, image, values, zero)
    figure.savefig(path, dpi=150)


def _mark_cells(axes, image, values, zero):
    """Hatch the zero groups; write the numbers where there is room."""
    from matplotlib.patches import Rectangle
    for line, column in zip(*zero.nonzero()):
        axes.add_patch(
            Rectangle((column - .5, line - .5),
                      1,
                      1,
                      facecolor='white',
                      edgecolor='0.6',
                      hatch='////',
                      linewidth=.5))
    for (line, column), value in _cells(values):
        if zero[line, column]:
            # A tampered checkpoint can move the weights of a zero group.
            text = '0' if value == 0 else f'0 but {value:.2g}'
            axes.text(
                column,
                line,
                text,
                ha='center',
                va='center',
                fontsize=9,
                fontweight='bold',
                bbox=dict(facecolor='white', edgecolor='none', pad=1))
        elif values.shape[1] <= _MAX_NUMBERS and not math.isnan(value):
            dark = image.norm(value) < .6
            axes.text(
                column,
                line,
                f'{value:.2g}',
                ha='center',
                va='center',
                fontsize=8,
                color='white' if dark else 'black')


def _cells(values):
    return [((line, column), float(values[line, column]))
            for line in range(values.shape[0])
            for column in range(values.shape[1])]


@plain_text()
def draw_norms(report, path):
    """Draw the penalised norm of every group over the epochs.

    One panel per request; a cross marks the epoch from which on a group was
    exactly zero.

    Args:
        report (dict): What ``analyze_groups`` returned.
        path (str | Path): The image to write.
    """
    from matplotlib import colormaps
    requests = report['requests']
    names = [g['name'] for g in requests[0]['groups']]
    # Few groups are told apart by hue, many by their place in the model.
    few, many = colormaps['tab10'], colormaps['viridis']
    colours = {
        name: few(i) if len(names) <= few.N else many(i / len(names))
        for i, name in enumerate(names)
    }
    columns = min(_PANELS_PER_ROW, len(requests))
    lines = -(-len(requests) // columns)
    figure = new_figure(4.2 * columns + 2.4,
                        max(3.4 * lines, 1 + .2 * len(names)))
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axes, row in zip(grid.flat, requests):
        _norm_panel(axes, row, colours)
    for axes in grid.flat[len(requests):]:
        axes.set_visible(False)
    _norm_legend(figure, colours)
    figure.suptitle('Penalised norm of every group after each epoch')
    figure.savefig(path, dpi=150)


def _norm_panel(axes, row, colours):
    axes.set_title(
        f'request {row["request"]}: {_short(row["classes"], 30)}', fontsize=10)
    axes.set(xlabel='epoch', ylabel='norm')
    axes.tick_params(labelleft=True)
    axes.axhline(0, color='0.7', linewidth=.8, zorder=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    history = row['history']
    if not history:
        axes.text(
            .5,
            .5,
            'no norms were recorded',
            ha='center',
            transform=axes.transAxes)
    epochs = range(1, len(history) + 1)
    for i, group in enumerate(row['groups'] if history else []):
        norms = [epoch[i] for epoch in history]
        since = zero_since(norms)
        colour = colours.get(group['name'], 'black')
        axes.plot(
            epochs,
            norms,
            color=colour,
            linewidth=1.4,
            linestyle='--' if since else '-',
            marker='.' if len(history) == 1 else None)
        if since:
            # Lines at zero hide each other, so each end is marked.
            axes.plot(
                since,
                0,
                marker='x',
                color=colour,
                clip_on=False,
                markersize=9,
                markeredgewidth=2,
                zorder=5)


def zero_since(norms):
    """The epoch from which on a norm stayed exactly zero.

    Args:
        norms (list[float]): Norm after each epoch.

    Returns:
        int | None: Counted from 1; None if it is not zero at the end.
    """
    epoch = len(norms)
    while epoch and norms[epoch - 1] == 0:
        epoch -= 1
    return epoch + 1 if epoch < len(norms) else None


def _norm_legend(figure, colours):
    from matplotlib.lines import Line2D
    handles = [
        Line2D([], [], color=c, label=shown(n, _LABEL_LENGTH))
        for n, c in colours.items()
    ]
    handles.append(
        Line2D([], [],
               color='0.3',
               linestyle='--',
               marker='x',
               markersize=8,
               markeredgewidth=2,
               label='ends exactly zero (from x on)'))
    figure.legend(handles=handles, loc='outside right upper', fontsize=8)


def _short(classes, width=_CLASSES_WIDTH):
    """Class names on one line, as many as fit."""
    for count in range(len(classes), 0, -1):
        rest = len(classes) - count
        text = ', '.join(classes[:count]) + (f' +{rest}' if rest else '')
        if len(text) <= width:
            return shown(text)
    return f'{len(classes)} classes' if classes else ''
