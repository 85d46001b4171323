"""The figure of a comparison: bars for each method, side by side."""
from .figures import new_figure, plain_text

_PANELS = (('H', 'H'), ('r', '{score}_r'), ('f', '{score}_f'),
           ('recovered_full', '{score}_f recovered'),
           ('iteration_seconds', 'seconds per iteration'))
_SHARES = ('H', 'r', 'f', 'recovered_full')


@plain_text()
def draw_comparison(name, table, path):
    """Draw the first protocol, methods from top to bottom.

    Each setting has a colour; with several requests the mean over them is
    shown. Bars are the standard deviation over the seeds; a method without
    any finished seed has no bar.

    Args:
        name (str): Title of the comparison.
        table (DataFrame): As in ``compare.csv``, with ``score``.
        path (str | Path): The image to write.
    """
    table = table[table['protocol'] == table['protocol'].iloc[0]]
    settings = list(dict.fromkeys(table['setting']))
    methods = list(dict.fromkeys(table['title']))
    panels = [(c, label) for c, label in _PANELS if f'{c}_mean' in table]
    figure = new_figure(2 + 2.6 * len(panels),
                        1.6 + .17 * len(methods) * (len(settings) + .6))
    grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for panel, (column, label) in zip(grid, panels):
        for place, setting in enumerate(settings):
            _bars(panel, _summary(table, setting), methods, column,
                  place, len(settings), setting)  # yapf: disable
        panel.set_xlabel(label.format(score=table['score'].iloc[0]))
        panel.grid(axis='x', color='0.9')
        panel.set_axisbelow(True)
        if column in _SHARES:
            panel.set_xlim(0, 1.05)
    grid[0].set_yticks(range(len(methods)), methods)
    grid[0].set_ylim(len(methods) - .5, -.5)
    if len(settings) > 1:
        figure.legend(
            *grid[0].get_legend_handles_labels(),
            loc='outside right upper',
            fontsize=8)
    figure.suptitle(name, fontsize=11)
    figure.savefig(path, dpi=150)


def _summary(table, setting):
    """One line per method: the mean over the requests, if there is one."""
    rows = table[table['setting'] == setting]
    means = rows[rows['request'] == 'mean']
    only = rows[~rows['method'].isin(means['method']) & rows['last']]
    return {row['title']: row for part in (means, only)
            for _, row in part.iterrows()}  # yapf: disable


def _bars(panel, rows, methods, column, place, count, label):
    height = .8 / count
    shift = (place - (count - 1) / 2) * height
    values = [rows[m].get(f'{column}_mean') if m in rows else None
              for m in methods]  # yapf: disable
    spread = [rows[m].get(f'{column}_std') if m in rows else None
              for m in methods]  # yapf: disable
    panel.barh([i + shift for i in range(len(methods))],
               [_number(v) for v in values],
               height,
               xerr=[_number(v) for v in spread],
               error_kw=dict(capsize=2, linewidth=.8),
               label=label)
    if column in _SHARES:
        for i, (value, error) in enumerate(zip(values, spread)):
            _write(panel, i + shift, value, _number(error))


def _write(panel, height, value, error):
    """The number beside a short bar, in a long one: most are near 0 or 1."""
    if value is None or value != value:
        return
    inside = value > .5
    panel.text(
        .02 if inside else value + error + .02,
        height,
        f'{value:.3f}',
        color='white' if inside else 'black',
        va='center',
        fontsize=6)


def _number(value):
    """Nothing where nothing was measured."""
    return 0. if value is None or value != value else float(value)
