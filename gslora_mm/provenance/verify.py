"""Checking a run against its manifests, file by file."""
import os.path as osp
from dataclasses import dataclass, field
from pathlib import Path

from ..utils import ForgetError, shown
from .chain import CHAIN, Chain, is_manifest, manifest_files, read_manifest
from .digests import TENSOR_FILES, file_digest, read_tensor_digests
from .record import request_of
from .release_proof import prove_release
from .run_recorder import TIMED
from .summary_check import summary_faults

#: Rewritten by every start of a run; nothing is proved by them.
UNCOVERED = ('summary.json', 'summary.csv', 'summary.md', 'times.json')
_GONE = dict(replaces='replaced', drops='dropped')


@dataclass
class Verification:
    """What was found.

    Attributes:
        head (str): Digest of the last manifest.
        links (list[dict]): ``file``, ``kind``, ``what`` and ``end`` of every
            manifest.
        faults (list[dict]): ``file``, ``fault`` (``missing``, ``altered`` or
            ``wrong``) and ``detail``; empty if all is whole.
        checked (int): How many files were compared with their digests.
        unknown (list[str]): Files of the run that no manifest covers.
        notes (list[str]): What else there is to know.
        base (str): Where the base checkpoint was looked for.
        proof (dict): What the release shares with the base; see
            :func:`~gslora_mm.provenance.release_proof.prove_release`.
    """
    head: str = None
    links: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    checked: int = 0
    unknown: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    base: str = None
    proof: dict = None

    @property
    def whole(self):
        """bool: Whether nothing is missing, altered or wrong."""
        return not self.faults

    def fault(self, file, kind, detail):
        """Add a fault."""
        self.faults.append(dict(file=shown(file), fault=kind, detail=detail))

    def content(self):
        """dict: Everything, for JSON."""
        return dict(vars(self), whole=self.whole)


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
    manifests = _check_chain(work_dir, head, found)
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


def _check_chain(work_dir, head, found):
    """Manifests in their order, those that can be read, by name."""
    chain_file = work_dir / CHAIN
    if not chain_file.is_file():
        if not manifest_files(work_dir):
            raise ForgetError(
                f'{work_dir} holds no manifests: it was written by a version '
                'without them; tools/train.py --resume writes them, from '
                'what is there now')
        found.fault(CHAIN, 'missing', 'the manifests are followed instead')
    try:
        chain = Chain(work_dir)
    except ForgetError as err:
        raise ForgetError(f'{err}. It can be had from the manifests again: '
                          'remove it and verify') from err
    found.head = chain.head
    if chain_file.is_file() and chain_file.read_bytes() != chain.text():
        found.fault(CHAIN, 'altered', 'it is not as it was written')
    if head is not None and head.strip().lower() != chain.head:
        found.fault(
            CHAIN, 'wrong', f'its head is {chain.head}, the one given is '
            f'{shown(head)}: the run was changed since, or the chain was '
            'rewritten')
    manifests = _read_linked(work_dir, chain, found)
    for file in manifest_files(work_dir):
        if file not in {link['file'] for link in chain.links}:
            found.fault(file, 'wrong', 'the chain does not hold this manifest')
    return manifests


def _read_linked(work_dir, chain, found):
    manifests, gone, follows = {}, {}, None
    for place, link in reversed(list(enumerate(chain.links))):
        file, path = link['file'], work_dir / link['file']
        manifest = None
        if place in gone:
            _check_gone(work_dir, link, place, gone[place], manifests, found)
        else:
            manifest = _read_link(work_dir, file, path, link, place, follows,
                                  found)
        if manifest:
            manifests[file] = manifest
            for why in ('replaces', 'drops'):
                gone.update((p, (why, place, manifest))
                            for p in manifest.get(why, ())
                            if p < place and p not in gone)
        follows = _check_previous(work_dir, chain, place, manifest, found)
        found.links.insert(0, _link_row(file, manifest, gone.get(place)))
    return dict(reversed(manifests.items()))


def _check_previous(work_dir, chain, place, manifest, found):
    """Compare what a manifest follows; returns the digest that it names."""
    if not manifest:
        return None
    named = manifest['occasion'].get('previous')
    before = chain.links[place - 1] if place else dict(sha256=None)
    if named == before['sha256']:
        return named
    path = work_dir / before.get('file', '')
    if place and is_manifest(before['file']) and osp.isfile(
            path) and file_digest(path) == named:
        found.fault(
            CHAIN, 'altered', f'link {place - 1} holds another digest than '
            f'{before["file"]} has')
    else:
        found.fault(
            chain.links[place]['file'], 'wrong', 'the manifest before it in '
            'the chain is not the one that it was written after')
    return named


def _check_gone(work_dir, link, place, reason, manifests, found):
    """A manifest that is gone on purpose must be what the later one says."""
    why, later, manifest = reason
    if why == 'replaces':
        sound = found.links[later - place - 1]['file'] == shown(link['file'])
    else:
        sound = request_of(link['file']) > manifest.get('to', 0)
    if not sound:
        found.fault(
            CHAIN, 'altered', f'link {place} is not the manifest that '
            f'link {later} {why}')
    if link['file'] not in manifests and osp.isfile(work_dir / link['file']):
        found.fault(link['file'], 'wrong',
                    f'it is back, though link {later} dropped it')


def _read_link(work_dir, file, path, link, place, follows, found):
    """One manifest; None if it is not there or not as it was."""
    if not is_manifest(file):
        found.fault(
            CHAIN, 'altered', f'link {place} names {shown(file)}, '
            'which is no manifest')
        return None
    if not osp.isfile(path):
        found.fault(file, 'missing', 'the manifest is gone')
        return None
    digest = file_digest(path)
    # Where the next manifest knows it so, it is the chain that is wrong.
    if digest not in (link['sha256'], follows):
        found.fault(file, 'altered', _digests(digest, link['sha256']))
    try:
        manifest = read_manifest(path)
    except ForgetError as err:
        found.fault(file, 'altered', str(err))
        return None
    if manifest['place'] != place:
        found.fault(
            file, 'wrong', f'it was link {manifest["place"]} of the '
            f'chain and is link {place}')
    return manifest


def _link_row(file, manifest, reason):
    about = manifest or {}
    what = about.get('kind', 'not read, see below')
    if reason:
        what = f'{_GONE[reason[0]]} by {reason[1]}'
    elif what == 'request':
        names = about.get('classes')
        names = names if isinstance(names, list) else []
        what = f'request {about.get("request")}: {", ".join(map(str, names))}'
    elif what == 'revert':
        what = f'back to request {about.get("to")}'
    return dict(
        file=shown(file),
        kind=shown(manifest['kind']) if manifest else None,
        what=shown(what),
        start=shown((about.get('occasion') or {}).get('start')),
        end=shown((about.get('occasion') or {}).get('end')),
        trained_before=bool(about.get('trained_before')))


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


def check_file(path, label, about, found):
    """Compare one file with what a manifest says of it.

    Args:
        path (Path): The file.
        label (str): What it is called.
        about (dict): ``bytes``, ``sha256`` and perhaps ``tensors``.
        found (Verification): Faults are added here.

    Returns:
        bool: Whether it is as it was.
    """
    found.checked += 1
    if not osp.isfile(path):
        found.fault(label, 'missing', f'it had {about["bytes"]} bytes')
        return False
    size, digest = path.stat().st_size, file_digest(path)
    if digest == about['sha256'] and size == about['bytes']:
        return True
    detail = _digests(digest, about['sha256'])
    if size != about['bytes']:
        detail += f'; {size} bytes, recorded {about["bytes"]}'
    if path.suffix in TENSOR_FILES and about.get('tensors') is not None:
        detail += f'; {_tensor_detail(path, about["tensors"])}'
    found.fault(label, 'altered', detail)
    return False


def _digests(actual, recorded):
    return f'sha256 {actual[:16]}..., recorded {shown(recorded)[:16]}...'


def _tensor_detail(path, recorded):
    """Which tensors of an altered file are others, in words."""
    try:
        actual = read_tensor_digests(path)
    except ForgetError as err:
        return f'it can no longer be read ({str(err)[:200]})'
    faults = [
        f'{len(names)} tensors {what}: {listed(names)}'
        for what, names in (('altered',
                             [k for k in recorded
                              if k in actual and actual[k] != recorded[k]]),
                            ('missing', [k for k in recorded
                                         if k not in actual]),
                            ('added', [k for k in actual
                                       if k not in recorded]))
        if names
    ]  # yapf: disable
    return '; '.join(faults) or ('every tensor is as it was: something else '
                                 'in the file was altered')


def listed(names, count=5):
    """Names from a file on one line, the first ones.

    Args:
        names (list[str]): The names.
        count (int): How many to spell out.

    Returns:
        str: The text.
    """
    more = f' and {len(names) - count} more' if len(names) > count else ''
    return ', '.join(map(shown, names[:count])) + more


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
