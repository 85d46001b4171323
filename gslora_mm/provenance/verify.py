"""Checking a run against its manifests, file by file."""
import os.path as osp
from pathlib import Path

from ..utils import ForgetError, shown
from .chain import CHAIN
from .digests import file_digest
from .release_proof import prove_release
from .run_recorder import TIMED
from .summary_check import summary_faults
from .verification import Verification, check_file
from .verify_chain import check_chain

#: Rewritten by every start of a run; nothing is proved by them.
UNCOVERED = ('summary.json', 'summary.csv', 'summary.md', 'times.json')


def verify_run(work_dir, base=None, release=None, head=None, data=False):
    """Check the chain of a run, its files, and what its release is made of.

    Args:
        work_dir (str | Path): Folder of the run.
        base (str, optional): The base checkpoint; default: where it lay.
        release (str, optional): The checkpoint to compare with the base;
            default: ``merged.pth`` of the last request.
        head (str, optional): The head as it was written down.
        data (bool): Whether to read images and annotations again as well.

    Returns:
        Verification: What was found.

    Raises:
        ForgetError: If there is no chain to check.
    """
    work_dir, found = Path(work_dir), Verification()
    if not work_dir.is_dir():
        raise ForgetError(f'work dir {work_dir} does not exist; name the '
                          'folder that tools/train.py wrote')
    manifests = check_chain(work_dir, head, found)
    covered, latest = {CHAIN, *UNCOVERED}, _latest_releases(manifests)
    for file, manifest in manifests.items():
        covered.add(file)
        covered.update(_check_files(work_dir, file, manifest, latest, found))
    base = _check_base(manifests, base, found)
    if data:
        _check_data(work_dir, manifests, found)
    for fault in summary_faults(work_dir):
        found.fault(*fault)
    found.unknown = sorted(
        name for name in _all_files(work_dir) if name not in covered)
    prove_release(work_dir, manifests, base, release, found)
    return found


def _latest_releases(manifests):
    """The last manifest that names a released file, by the file."""
    return {
        name: file
        for file, manifest in manifests.items()
        if manifest['kind'] == 'release' for name in manifest['files']
    }


def _check_files(work_dir, file, manifest, latest, found):
    """Compare the files of one manifest; returns their names in the run."""
    folder = work_dir
    if manifest['kind'] == 'request':
        folder = (work_dir / file).parent
    covered = set()
    timed = manifest['occasion'].get('files') or {}
    if manifest['kind'] == 'request' and set(timed) - set(TIMED):
        found.fault(file, 'wrong', 'it lists files under another heading')
    for name, about in {**manifest['files'], **timed}.items():
        path = folder / name
        inside = _is_inside(work_dir, path)
        if not inside and manifest['kind'] != 'release':
            found.fault(
                file, 'wrong',
                f'it names {shown(name)}, which is no file of the run')
            continue
        if inside:
            covered.add(path.relative_to(work_dir).as_posix())
        label = path.relative_to(work_dir).as_posix() if inside else name
        if manifest['kind'] == 'release' and latest[name] != file:
            found.notes.append(f'{shown(label)} was released again: '
                               f'{file} is of an earlier one')
            continue
        check_file(path, label, about, found)
    return covered


def _check_base(manifests, base, found):
    """Compare the base checkpoint; returns where it lies, or None."""
    start = manifests.get('manifest.json') or {}
    about = start.get('base')
    if not isinstance(about, dict) or not isinstance(about.get('path'), str):
        found.notes.append('no manifest names the base checkpoint')
        found.base = base
        return base
    path = found.base = str(base or about['path'])
    if not isinstance(about.get('sha256'), str) or not isinstance(
            about.get('bytes'), int):
        found.notes.append('the bytes of the base checkpoint were not '
                           'recorded, as it was fetched from a store')
        return path if osp.isfile(path) else None
    if '://' in path:
        from ..engine.checkpoints import local_copy
        path = str(local_copy(path) or path)
    if not osp.isfile(path):
        found.fault(
            path, 'missing', 'the base checkpoint is not there; name '
            'where it lies with --base FILE')
        return None
    check_file(Path(path), path, _base_form(about), found)
    return path


def _base_form(about):
    tensors = about.get('tensors')
    sound = isinstance(tensors, dict) and all(
        isinstance(v, str) for v in tensors.values())
    return dict(about, tensors=tensors if sound else None)


def _check_data(work_dir, manifests, found):
    """Read annotations and images again."""
    from .data_lists import read_images
    lists = sorted({(work_dir / file).parent / name
                    for file, manifest in manifests.items()
                    for name in manifest['files']
                    if Path(name).name == 'images.csv'})
    digests = {}
    for path in filter(osp.isfile, lists):
        digests.update(read_images(path))
    data = (manifests.get('manifest.json') or {}).get('data') or {}
    for about in (data.get('annotations') or {}).values():
        if about:
            digests[about['path']] = about['sha256']
    for path, digest in sorted(digests.items()):
        found.checked += 1
        if not osp.isfile(path):
            found.fault(path, 'missing', 'the run was trained or measured '
                        'with it')
        elif file_digest(path) != digest:
            found.fault(
                path, 'altered', 'the run was trained or measured '
                'with another content')


def _is_inside(work_dir, path):
    try:
        return path.resolve().is_relative_to(work_dir.resolve())
    except (OSError, ValueError):  # a null in it, or far too long
        return False


def _all_files(work_dir):
    return [
        p.relative_to(work_dir).as_posix() for p in work_dir.rglob('*')
        if p.is_file()
    ]
