"""The figure of a recovery: curves over the steps."""
from .figures import new_figure, plain_text


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
    from matplotlib import colormaps
    frame = frame[frame['protocol'] == frame['protocol'].iloc[0]]
    titles = list(dict.fromkeys(frame['title']))
    few, many = colormaps['tab10'], colormaps['tab20']
    colours = {
        title: (few if len(titles) <= few.N else many)(i % many.N)
        for i, title in enumerate(titles)
    }
    settings = list(dict.fromkeys(frame['setting']))
    variants = list(dict.fromkeys(frame['variant']))
    figure = new_figure(4. * len(variants) + 2., 3.4 * len(settings))
    grid = figure.subplots(len(settings), len(variants), squeeze=False)
    for line, setting in zip(grid, settings):
        for panel, variant in zip(line, variants):
            rows = frame[(frame['setting'] == setting)
                         & (frame['variant'] == variant)]
            draw = _curves if rows['step'].nunique() > 2 else _bars
            draw(panel, rows, colours)
            panel.set_title(f'{setting}, {variant}', fontsize=10)
    _legend(figure, colours)
    figure.suptitle(name, fontsize=11)
    figure.savefig(path, dpi=150)


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
    least = min((s for s in rows['step'] if s > 0), default=1)
    panel.set_xscale('symlog', linthresh=least)
    panel.set(
        xlabel='steps of the head',
        ylabel=rows['score'].iloc[0],
        ylim=(-.03, 1.05))
    panel.grid(color='0.9')


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
