"""What tools/export.py prints of a release."""
from .holders import holder_table


def render_release(path, report):
    """A release as text.

    Args:
        path (Path): The checkpoint.
        report (dict): Content of its ``release.json``.

    Returns:
        str: What it is, what was checked, and who still holds the classes.
    """
    checks, tensors = report['checks'], report['tensors']
    untouched = checks['untouched']
    lines = [
        f'release: {path} ({report["bytes"] / 1e6:.1f} MB)',
        f'sha256:  {report["sha256"]}',
        f'forgotten: {", ".join(report["forgotten"])}',
        '',
        'weights: those recorded at training, to the bit; made from ' +
        _sources(checks['made_from']),
        f'tensors: {len(tensors["identical_to_base"])} of {tensors["total"]} '
        'are those of the base, to the bit',
    ]
    if untouched['zero_groups']:
        lines.append(f'groups that are zero in every request: '
                     f'{", ".join(untouched["zero_groups"])}')
    lines += [_predictions(checks['predictions']), '']
    lines.append('These files still hold forgotten classes; keep them in the '
                 'house or delete them:')
    lines.append(holder_table(report['still_hold']))
    return '\n'.join(lines)


def _sources(made_from):
    ways = dict.fromkeys(made_from.values())
    if len(ways) == 1:
        return next(iter(ways))
    return '; '.join(f'request {i}: {way}' for i, way in made_from.items())


def _predictions(check):
    if not check['images']:
        return 'predictions: not compared'
    found = []
    if 'identical_to_merged_pth' in check:
        found.append('identical to merged.pth')
    if 'largest_gap_to_adapters_unmerged' in check:
        gaps = ', '.join(
            f'{key} {gap:.1e} (at most {check["tolerance"][key]:g})'
            for key, gap in check['largest_gap_to_adapters_unmerged'].items())
        found.append(f'base with unmerged adapters: {gaps}')
    return (f'predictions on {check["images"]} images: ' +
            ('; '.join(found) or 'nothing of the run to compare with'))
