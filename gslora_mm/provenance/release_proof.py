"""Which tensors of a release equal the base bit by bit, from files alone."""
from ..utils import ForgetError, counted, shown
from .digests import fingerprint_of, read_tensor_digests
from .verification import listed


def prove_release(work_dir, manifests, base, release, found):
    """Compare a release with the base, tensor by tensor.

    Base, release and every merged checkpoint between them are read, and
    ``groups.json`` of every request is held against what they show.

    Args:
        work_dir (Path): Folder of the run.
        manifests (dict[str, dict]): Its manifests by name.
        base (str | None): The base checkpoint; None if it is gone.
        release (str | None): The release; default: ``merged.pth`` of the
            last request.
        found (Verification): Faults are added, and ``proof``: ``release``,
            ``requests`` (whose results it holds), ``tensors``, ``equal`` (how
            many) and ``changed`` (names). ``proof`` stays None if a file
            cannot be read.
    """
    digests = _digests_of(base, found)
    folders = sorted(((manifest.get('request'), (work_dir / file).parent)
                      for file, manifest in manifests.items()
                      if manifest['kind'] == 'request'
                      and isinstance(manifest.get('request'), int)),
                     key=lambda pair: pair[0])
    if digests is None or not folders:
        return
    states, allowed = _follow(digests, folders, found)
    path = release or str(folders[-1][1] / 'merged.pth')
    after = _digests_of(path, found, release is not None)
    if after is None:
        return
    count = _result_of(after, states, release, found)
    _compare(path, digests, after, count, allowed[:count], found)


def _digests_of(path, found, report=True):
    """Digests of a checkpoint; None, and perhaps a fault, if unreadable."""
    if path is None:
        return None
    try:
        return read_tensor_digests(path)
    except ForgetError as err:
        # Files of the chain have their fault already.
        if report and not found.faults:
            found.fault(path, 'wrong', str(err))
        return None


def _follow(before, folders, found):
    """Hold every groups.json against the weights before and after.

    Returns:
        tuple[list[str], list[set[str]]]: For each request the fingerprint of
        its result, None if it cannot be read, and the tensors that it may
        have changed.
    """
    prints, allowed = [], []
    for _, folder in folders:
        after = _digests_of(folder / 'merged.pth', found)
        report = _groups(folder, found)
        prints.append(after and fingerprint_of(after))
        if report is None:
            allowed.append(set())
        else:
            allowed.append(_may_change(report))
            if before is not None and after is not None:
                _check_groups(folder, report, before, after, found)
        before = after
    return prints, allowed


def _groups(folder, found):
    from ..analysis.artefact_forms import read_groups
    try:
        return read_groups(folder / 'groups.json', whole=True)
    except ForgetError as err:
        if not found.faults:
            found.fault(str(folder / 'groups.json'), 'wrong', str(err))
        return None


def _may_change(report):
    """Tensors that groups.json says may have moved."""
    return {
        *(f'{layer}.weight'
          for row in report['groups'] if not row.get('bit_identical')
          for layer in row['layers']), *(report.get('trained_tensors') or ())
    }


def _check_groups(folder, report, before, after, found):
    """Faults where groups.json says something else than the weights."""
    label = f'{folder.name}/groups.json'
    changed = {k for k in {*before, *after} if before.get(k) != after.get(k)}
    outside = sorted(changed - _may_change(report))
    if outside:
        found.fault(
            label, 'wrong', f'{counted(len(outside), "tensor")} changed that '
            f'it does not name: {listed(outside)}')
    for row in report['groups']:
        names = [f'{layer}.weight' for layer in row['layers']]
        moved = [name for name in names if name in changed]
        if bool(row.get('bit_identical')) == bool(moved):
            found.fault(
                label, 'wrong', f'group {shown(row["name"])} is '
                f'{"not " if moved else ""}bit-identical, it says otherwise')
    kept = len(before) - len(changed)
    if report.get('unchanged_tensors', kept) != kept:
        found.fault(
            label, 'wrong', f'{kept} tensors kept every bit, it says '
            f'{report["unchanged_tensors"]}')


def _result_of(after, prints, release, found):
    """How many requests a release holds the results of."""
    actual = fingerprint_of(after)
    if actual in prints:
        return prints.index(actual) + 1
    if release is not None:
        found.fault(
            release, 'wrong', 'its weights are not the result of any request '
            'of this run (another precision, or another model)')
    return len(prints)


def _compare(path, base, after, count, allowed, found):
    may = set().union(*allowed)
    changed = sorted(k for k in {*base, *after} if base.get(k) != after.get(k))
    outside = [name for name in changed if name not in may]
    if outside:
        found.fault(
            path, 'wrong',
            f'{counted(len(outside), "tensor")} other than in the '
            f'base that no groups.json names: {listed(outside)}')
    back = sorted(name for name in may if name not in changed)
    if back:
        found.notes.append(f'{counted(len(back), "tensor")} that may have '
                           f'changed, as in the base: {listed(back)}')
    found.proof = dict(
        release=str(path),
        requests=count,
        tensors=len({*base, *after}),
        equal=len({*base, *after}) - len(changed),
        changed=changed,
        as_groups_say=not outside)
