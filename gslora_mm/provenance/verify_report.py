"""The result of a verification as text."""
from pathlib import Path

from ..utils import counted

_LISTED = 20


def render_verification(found, work_dir):
    """Render what was found.

    Args:
        found (Verification): The result.
        work_dir (str | Path): Folder of the run.

    Returns:
        str: Lines; the last ones are the head and the verdict.
    """
    lines = [f'chain of {counted(len(found.links), "manifest")} in {work_dir}']
    for place, link in enumerate(found.links):
        late = ', trained before there were manifests' if (
            link['kind'] == 'request' and link['trained_before']) else ''
        end = f', {link["end"]}' if link['kind'] else ''
        lines.append(f'  {place}  {link["file"]:<28} {link["what"]}{late}'
                     f'{end}')
    for fault in found.faults:
        lines.append(f'{fault["fault"].upper()}  {fault["file"]}: '
                     f'{fault["detail"]}')
    lines.append(f'base: {found.base}')
    lines += _files(found)
    lines += [f'note: {note}' for note in found.notes]
    lines += _proof(found.proof)
    lines.append(f'head: {found.head}')
    lines.append('keep the head where whoever can write here cannot')
    lines.append('whole' if found.whole else
                 f'NOT WHOLE: {counted(len(found.faults), "fault")}')
    return '\n'.join(lines)


def _files(found):
    bad = len({f['file'] for f in found.faults})
    lines = [
        f'{found.checked} files compared with their digests'
        if not bad else f'{found.checked} files compared with their digests, '
        f'{counted(bad, "file")} at fault'
    ]
    folders = {}
    for name in found.unknown:
        parts = Path(name).parts
        # Logs are many, and each start has a folder of them.
        folder = '/'.join(parts[:2]) if len(parts) > 2 else name
        folders[folder] = folders.get(folder, 0) + 1
    rows = [
        f'  {name}' if count == 1 else f'  {name}/ ({count} files)'
        for name, count in sorted(folders.items())
    ]
    if rows:
        lines.append(
            f'{counted(len(found.unknown), "file")} that no manifest covers '
            '(logs, configs as dumped, analyses):')
        lines += rows[:_LISTED]
        if len(rows) > _LISTED:
            lines.append(f'  and {len(rows) - _LISTED} more')
    return lines


def _proof(proof):
    if proof is None:
        return ['release: not compared, see above']
    lines = [
        f'release: {proof["release"]}, after {proof["requests"]} requests',
        f'  {proof["equal"]} of {proof["tensors"]} tensors equal the base bit '
        f'by bit, {len(proof["changed"])} do not'
    ]
    if proof['as_groups_say']:
        lines.append('  every tensor that differs is one that groups.json '
                     'names as changed')
    lines += [f'  changed: {name}' for name in proof['changed'][:_LISTED]]
    if len(proof['changed']) > _LISTED:
        lines.append(f'  and {len(proof["changed"]) - _LISTED} more')
    return lines
