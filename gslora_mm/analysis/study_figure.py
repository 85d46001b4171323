"""The figure of a study: H, what was kept, and sparsity over its axes."""
from .figures import new_figure, plain_text

_PANELS = (('H_mean', 'H'), ('kept_mean', '{score}_r kept, %'),
           ('zero_ratio_mean', 'zero groups, %'))
_SCALE = dict(zero_ratio_mean=100)
# From this ratio of the largest to the smallest value on.
_DECADE = 10
# Letters that fit beside each other under a panel.
_TICKS_WIDTH = 36


@plain_text()
def draw_study(name, table, axes, path):
    """Draw the first protocol of the table, with error bars over seeds.

    A numerical axis gives lines on a linear scale, or a logarithmic one if
    its values span a decade; other axes give bars. Further axes are told
    apart by colour. With one axis alone, each request has a colour;
    otherwise the mean over the requests is shown.

    Args:
        name (str): Title of the study.
        table (DataFrame): What
            :func:`~gslora_mm.analysis.study_table.aggregate` returned.
        axes (list[str]): Names of the axes.
        path (str | Path): The image to write.
    """
    table = table[table['protocol'] == table['protocol'].iloc[0]]
    across = next((a for a in axes if _numbers(table[a])), axes[0])
    others = [a for a in axes if a != across]
    table, note = _chosen_requests(table, bool(others))
    by = others or ['request']
    series = [(', '.join(map(str, key)), rows)
              for key, rows in table.groupby(by, sort=False)]
    figure = new_figure(4. * len(_PANELS), 3.8)
    for panel, (column,
                label) in zip(figure.subplots(1, len(_PANELS)), _PANELS):
        if column in table:
            (_lines if _numbers(table[across]) else _bars)(panel, series,
                                                           across, column)
            _whole_range(panel, column)
        panel.set(
            xlabel=across, ylabel=label.format(score=table['score'].iloc[0]))
        panel.grid(axis='y', color='0.9')
        panel.set_axisbelow(True)
    if len(series) > 1:
        figure.legend(
            *panel.get_legend_handles_labels(),
            title=', '.join(by),
            loc='outside right upper',
            fontsize=8)
    figure.suptitle(name + note, fontsize=11)
    figure.savefig(path, dpi=150)


def _chosen_requests(table, several_axes):
    """The lines to draw, and what to add to the title."""
    means = table['request'] == 'mean'
    if not several_axes or not means.any():
        return table[~means], ''
    counts = set(table['request'][table['last']])
    number = counts.pop() if len(counts) == 1 else 'the'
    return table[means], f', mean over {number} requests'


def _whole_range(panel, column):
    """Show a share whole, so that chance differences look small."""
    low, high = panel.get_ylim()
    if column == 'kept_mean':
        panel.set_ylim(min(low, 90), max(high, 102))
    else:
        top = _SCALE.get(column, 1)
        panel.set_ylim(-.03 * top, max(high, 1.05 * top))


def _numbers(values):
    """list[float] | None: The values as numbers, if all are."""
    try:
        return [float(value) for value in values]
    except ValueError:
        return None


def _points(rows, column):
    scale = _SCALE.get(column, 1)
    spread = column.replace('_mean', '_std')
    # Without a spread (one seed) there is no bar.
    std = rows[spread].fillna(0) if spread in rows else 0 * rows[column]
    return scale * rows[column], scale * std


def _lines(panel, series, across, column):
    ticks = {}
    for label, rows in series:
        xs = _numbers(rows[across])
        ticks.update(zip(xs, rows[across]))
        mean, std = _points(rows, column)
        panel.errorbar(
            xs, mean, std, marker='o', markersize=4, capsize=3, label=label)
    _scale_axis(panel, sorted(ticks))
    panel.set_xticks(list(ticks), list(ticks.values()))
    panel.minorticks_off()


def _scale_axis(panel, values):
    positive = [v for v in values if v > 0]
    if not positive or values[0] < 0:
        return
    if positive[-1] / positive[0] >= _DECADE:
        if values[0] == 0:
            panel.set_xscale('symlog', linthresh=positive[0])
        else:
            panel.set_xscale('log')


def _bars(panel, series, across, column):
    places = {}
    for _, rows in series:
        for value in rows[across]:
            places.setdefault(value, len(places))
    width = .8 / len(series)
    for i, (label, rows) in enumerate(series):
        shift = (i - (len(series) - 1) / 2) * width
        mean, std = _points(rows, column)
        panel.bar([places[v] + shift for v in rows[across]],
                  mean,
                  width,
                  yerr=std,
                  capsize=3,
                  label=label)
    tilted = dict(rotation=30, ha='right', rotation_mode='anchor')
    crowded = sum(map(len, places)) > _TICKS_WIDTH
    panel.set_xticks(
        list(places.values()), list(places), **(tilted if crowded else {}))
