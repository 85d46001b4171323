"""What is done with a run later, linked to its chain."""
import json
import re
from pathlib import Path

from ..utils import ForgetError
from .chain import RELEASES, REVERTS, Chain, read_manifest
from .code_version import manifest_head
from .digests import describe_file
from .times import now


def record_release(work_dir, files, about=None):
    """Append a manifest of released files to the chain of a run.

    Args:
        work_dir (str | Path): Folder of the run.
        files (Iterable[str | Path]): What leaves the house: the checkpoint
            and what lies beside it. They may lie outside the folder.
        about (dict, optional): What JSON can hold: which request, which
            precision, who asked.

    Returns:
        Path: The manifest, ``releases/NN.json``.

    Raises:
        ForgetError: If a file is missing or damaged, the folder holds no
            run, or another process is at work in it.
    """
    # Here, as the engine imports this package.
    from ..engine.run_lock import lock_run
    from ..engine.run_record import RECORD
    work_dir = Path(work_dir)
    if not (work_dir / RECORD).is_file():
        raise ForgetError(f'{work_dir} holds no run ({RECORD} is missing); '
                          'name the folder that tools/train.py wrote')
    with lock_run(work_dir):
        chain = Chain(work_dir)
        file = chain.next_file(RELEASES)
        manifest = dict(
            manifest_head('release'),
            about=json.loads(json.dumps(about or {})),
            files={
                _name(path, work_dir): describe_file(path)
                for path in map(Path, files)
            },
            occasion=dict(start=None, end=now()))
        chain.append(file, manifest)
    return work_dir / file


def record_revert(work_dir, index):
    """Append a manifest that says which requests were dropped on purpose.

    Args:
        work_dir (str | Path): Folder of the run, which the caller holds the
            lock of; folders of the requests are gone already.
        index (int): The request that is the last one now; 0 for none.

    Returns:
        Path | None: The manifest, ``reverts/NN.json``; None if no manifest
        has gone that the chain does not know of.

    Raises:
        ForgetError: If ``chain.json`` is damaged.
    """
    work_dir = Path(work_dir)
    chain = Chain(work_dir)
    gone = [
        place for place, link in enumerate(chain.links)
        if request_of(link['file']) > index and not (work_dir /
                                                     link['file']).is_file()
    ]
    gone = sorted(set(gone) - _known_gone(chain))
    if not gone:
        return None
    file = chain.next_file(REVERTS)
    chain.append(
        file,
        dict(
            manifest_head('revert'),
            to=index,
            drops=gone,
            files={},
            occasion=dict(start=None, end=now())))
    return work_dir / file


def request_of(file):
    """Tell the manifest of a request by its name.

    Args:
        file (str): A link of the chain.

    Returns:
        int: Number of the request, 0 if it is another manifest.
    """
    found = re.fullmatch(r'request_(\d{1,9})/manifest\.json', file)
    return int(found[1]) if found else 0


def _known_gone(chain):
    """Places of manifests that later ones say are gone."""
    known = set()
    for link in chain.links:
        try:
            manifest = read_manifest(chain.work_dir / link['file'])
        except ForgetError:
            continue
        known.update(manifest.get('replaces', ()), manifest.get('drops', ()))
    return known


def _name(path, work_dir):
    """Below the folder of the run, so that it can be moved; or where it is."""
    path = path.resolve()
    inside = path.is_relative_to(work_dir.resolve())
    return (path.relative_to(work_dir.resolve())
            if inside else path).as_posix()
