"""Checking the manifests of a run against its chain."""
import os.path as osp

from ..utils import ForgetError, shown
from .chain import CHAIN, Chain, is_manifest, manifest_files, read_manifest
from .digests import file_digest
from .record import request_of
from .verification import digests

_GONE = dict(replaces='replaced', drops='dropped')


def check_chain(work_dir, head, found):
    """Check the chain of a run.

    Args:
        work_dir (Path): Folder of the run.
        head (str | None): The head as it was written down.
        found (Verification): Faults, links and notes are added here.

    Returns:
        dict[str, dict]: Manifests in their order, those that can be read, by
        name.

    Raises:
        ForgetError: If there is none, or ``chain.json`` cannot be read.
    """
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
        found.fault(file, 'altered', digests(digest, link['sha256']))
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
