"""The figure of a recovery: curves over the steps."""
import math

from .figures import new_figure, plain_text

_COLUMNS = 3


@plain_text()
def draw_recovery(name, frame, path):
    """Draw the first protocol, a panel for each setting and variant.

    Solid lines are the forgotten classes, dotted ones the retained; bands
    are the standard deviation over the seeds. Variants without steps are
    bars of the forgotten classes.

    Args:
        name (str): Title of the recovery.
        frame (DataFrame): As in ``recover.csv``.
        path (str | Path): The image to write.
    """
    frame = frame[frame['protocol'] == frame['protocol'].iloc[0]]
    colours = colours_of(frame['title'])
    settings = list(dict.fromkeys(frame['setting']))
    variants = list(dict.fromkeys(frame['variant']))
    columns = min(_COLUMNS, len(variants))
    lines = math.ceil(len(variants) / columns)
    figure = new_figure(4. * columns + 2., 3.4 * lines * len(settings))
    grid = figure.subplots(lines * len(settings), columns, squeeze=False)
    for place, setting in enumerate(settings):
        panels = [p for line in grid[place * lines:][:lines] for p in line]
        for panel in panels[len(variants):]:
            panel.set_visible(False)
        for panel, variant in zip(panels, variants):
            rows = frame[(frame['setting'] == setting)
                         & (frame['variant'] == variant)]
            draw = _curves if rows['step'].nunique() > 2 else _bars
            draw(panel, rows, colours)
            panel.set_title(f'{setting}, {variant}', fontsize=10)
    _legend(figure, colours)
    figure.suptitle(name, fontsize=11)
    figure.savefig(path, dpi=150)


def colours_of(titles):
    """dict[str, tuple]: A colour for each of some titles, in their order."""
    from matplotlib import colormaps
    titles = list(dict.fromkeys(titles))
    few, many = colormaps['tab10'], colormaps['tab20']
    return {
        title: (few if len(titles) <= few.N else many)(i % many.N)
        for i, title in enumerate(titles)
    }


def _curves(panel, rows, colours):
    for title, of_model in rows.groupby('title', sort=False):
        by_step = of_model.groupby('step')
        for column, style in (('f', '-'), ('r', ':')):
            mean = by_step[column].mean()
            panel.plot(
                mean.index, mean, style, color=colours[title], linewidth=1.3)
        mean, std = by_step['f'].mean(), by_step['f'].std().fillna(0)
        panel.fill_between(
            mean.index,
            mean - std,
            mean + std,
            color=colours[title],
            alpha=.15,
            linewidth=0)
    steps = sorted(set(rows['step']))
    least = min(filter(None, steps), default=1)
    panel.set_xscale('symlog', linthresh=least, linscale=.5)
    # Labels of a logarithmic axis would be formulas.
    panel.set_xticks(steps, [f'{step:g}' for step in steps], fontsize=8)
    panel.set_xticks([], minor=True)
    panel.set(xlabel='steps', ylabel=rows['score'].iloc[0], ylim=(-.03, 1.05))
    panel.grid(color='0.9')
    panel.set_axisbelow(True)


def _bars(panel, rows, colours):
    rows = rows[rows['last']].groupby('title', sort=False)['f']
    mean, std = rows.mean(), rows.std().fillna(0)
    panel.barh(
        range(len(mean)),
        mean,
        xerr=std,
        color=[colours[title] for title in mean.index])
    panel.set_yticks(range(len(mean)), mean.index, fontsize=7)
    panel.invert_yaxis()
    panel.set(xlim=(0, 1.05), xlabel='of forgotten classes')


def _legend(figure, colours):
    from matplotlib.lines import Line2D
    handles = [Line2D([], [], color=c, label=t) for t, c in colours.items()]
    handles += [
        Line2D([], [], color='0.3', label='forgotten classes'),
        Line2D([], [], color='0.3', linestyle=':', label='retained classes')
    ]
    figure.legend(handles=handles, loc='outside right upper', fontsize=8)
