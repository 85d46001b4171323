"""The figure of a long sequence: cost, drift, and what comes back."""
from .figures import new_figure

_COSTS = dict(
    seconds='time', memory_mb='peak memory', disk_mb='disk of the request')


def draw_long_run(table, path):
    """Draw cost relative to the first request, drift, and accuracy or AP.

    Args:
        table (DataFrame): What
            :func:`~gslora_mm.analysis.long_run.measure_long_run` returned.
        path (str | Path): The image to write.
    """
    figure = new_figure(12., 3.8)
    cost, drift, kept = figure.subplots(1, 3)
    x, score = table['request'], table['score'][0]
    for key, label in _COSTS.items():
        cost.plot(x, table[key] / table[key][0], marker='.', label=label)
    cost.axhline(1.05, color='0.6', linestyle=':', linewidth=1)
    cost.set(ylabel='relative to request 1', ylim=(0, None))
    drift.plot(x, table['drift_relative'], marker='.', label='of the updates')
    drift.plot(x, table['drift'], marker='.', label='largest, of a weight')
    drift.set(ylabel='drift of merging', ylim=(0, None))
    for key, label in (('r', f'{score}_r'), ('r_base',
                                             f'{score}_r of the base'),
                       ('f', f'{score}_f'), ('o', f'{score}_o'),
                       ('worst', 'highest forgotten class')):
        kept.plot(x, table[key].astype(float), marker='.', label=label)
    kept.set(ylabel=score, ylim=(-.02, 1.02))
    for panel in (cost, drift, kept):
        panel.set(xlabel='request')
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(axis='y', color='0.9')
        panel.set_axisbelow(True)
        panel.legend(fontsize=8)
    figure.savefig(path, dpi=150)
