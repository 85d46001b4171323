"""Everything that ``tools/analyze_groups.py`` writes and prints."""
from pathlib import Path

from ..utils import ForgetError, atomic_path, write_json
from .figures import draw_heatmap, draw_norms
from .group_text import conclusion, render_request
from .groups import analyze_groups

_COLUMNS = ('request', 'classes', 'group', 'norm', 'update_norm', 'zero',
            'bit_identical', 'same_as_original', 'parameters', 'zero_ratio',
            'checks')


def report_groups(work_dir, base=None, out=None):
    """Analyse the groups of a run; write files, print tables.

    Args:
        work_dir (str | Path): Folder of the run.
        base (str, optional): The original checkpoint, if it was moved.
        out (str | Path, optional): Where the files go; default
            ``work_dir/analysis``.

    Returns:
        dict: See :func:`~gslora_mm.analysis.analyze_groups`.

    Raises:
        ForgetError: On bad input; and, after everything is written, if a
            check fails.
    """
    report = analyze_groups(work_dir, base)
    out = Path(out or Path(work_dir) / 'analysis')
    files = write_report(report, out)
    for row in report['requests']:
        print(render_request(row), end='\n\n')
    for line in report['skipped']:
        print(f'note: {line}')
    for row in report['requests']:
        print('\n'.join(conclusion(row)))
    print(f'{", ".join(files)}: {out}')
    failed = [r for r in report['requests'] if r['failures']]
    if failed:
        count = sum(len(r['failures']) for r in failed)
        raise ForgetError(
            f'{count} CHECKS FAILED in request '
            f'{", ".join(str(r["request"]) for r in failed)}, first: '
            f'{failed[0]["failures"][0]}; trust these weights no longer: '
            'restore the files, or train these requests again')
    return report


def write_report(report, out):
    """Write ``groups.csv``, ``groups.json`` and, of groups, two figures.

    Args:
        report (dict): What ``analyze_groups`` returned.
        out (Path): The folder.

    Returns:
        list[str]: Names of the files.

    Raises:
        OSError: If the folder cannot be made.
        ForgetError: If a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / 'groups.json', report)
    with atomic_path(out / 'groups.csv') as partial:
        group_table(report).to_csv(partial, index=False)
    if not any(row['groups'] for row in report['requests']):
        return ['groups.csv', 'groups.json']
    for name, draw in (('heatmap.png', draw_heatmap), ('norms.png',
                                                       draw_norms)):
        with atomic_path(out / name) as partial:
            draw(report, partial)
    return ['groups.csv', 'groups.json', 'heatmap.png', 'norms.png']


def group_table(report):
    """One line per request and group.

    Args:
        report (dict): What ``analyze_groups`` returned.

    Returns:
        pandas.DataFrame: ``request``, ``classes``, ``group``, ``norm``,
        ``update_norm``, ``zero``, ``bit_identical``, ``same_as_original``,
        ``parameters``, ``zero_ratio`` (of the request) and ``checks``.
    """
    import pandas as pd
    return pd.DataFrame([
        dict(
            request=row['request'],
            classes=';'.join(row['classes']),
            group=group['name'],
            **{
                key: group[key]
                for key in ('norm', 'update_norm', 'zero', 'bit_identical',
                            'same_as_original', 'parameters')
            },
            zero_ratio=row['zero_ratio'],
            checks='FAILED' if row['failures'] else 'passed')
        for row in report['requests'] for group in row['groups']
    ],
                        columns=_COLUMNS)
