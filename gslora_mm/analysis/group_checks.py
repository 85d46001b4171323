"""Checks of one request: each returns a line for every fault it finds."""
import math

from ..utils import counted

_TOLERANCE = 1e-3
_NAMED = 4


def group_failures(groups, files):
    """Zero groups whose weights moved; groups.json against the adapter.

    Args:
        groups (list[dict]): What was found, see ``analyze_request``.
        files (RequestFiles): The request's files.

    Returns:
        list[str]: One line per fault.
    """
    found = []
    for group, row in zip(groups, files.groups['groups']):
        name = group['name']
        moved = [w['name'] for w in group['weights'] if not w['identical']]
        if group['zero'] and moved:
            found.append(f'group {name} is zero, yet the weights of '
                         f'{_listed(moved)} are not those of the base')
        if group['zero'] != row['zero']:
            found.append(
                f'groups.json calls group {name} '
                f'{"zero" if row["zero"] else "not zero"}, in the adapter '
                f'it is {"zero" if group["zero"] else "not zero"}')
        elif not math.isclose(
                group['norm'],
                row['norm'],
                rel_tol=_TOLERANCE,
                abs_tol=_TOLERANCE**2):
            found.append(f'groups.json gives group {name} the norm '
                         f'{row["norm"]:.6g}, the adapter has '
                         f'{group["norm"]:.6g}')
    return found


def outside_failures(outside):
    """A line if tensors that carry no LoRA changed.

    Args:
        outside (list[str]): Their names.

    Returns:
        list[str]: One line or none.
    """
    if not outside:
        return []
    return [
        f'{counted(len(outside), "tensor")} without LoRA changed: '
        f'{_listed(outside)}'
    ]


def fingerprint_failures(files, base_print, merged_print):
    """Lines if adapter and merged checkpoint are not of this base and run.

    Args:
        files (RequestFiles): The request's files.
        base_print (str): Fingerprint of the weights it started from.
        merged_print (str): Fingerprint of the weights in ``merged.pth``.

    Returns:
        list[str]: One line per fault.
    """
    found = []
    written = [('merged.pth', files.meta)]
    if files.adapter_bytes is not None:
        written.append(('adapter.safetensors', files.adapter_meta))
    for what, meta in written:
        if meta.get('base_fingerprint') != base_print:
            found.append(f'{what} was made from another base than this run\'s')
        if meta.get('merged_fingerprint') != merged_print:
            found.append('the weights in merged.pth are not those that the '
                         f'run wrote (fingerprint in {what})')
    return found


def _listed(names):
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    return ', '.join(names[:_NAMED]) + more
