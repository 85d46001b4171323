"""Releases, linked to the chain of the run that they come from."""
import json
from pathlib import Path

from ..utils import ForgetError
from .chain import RELEASES, Chain
from .code_version import code_version, environment
from .digests import describe_file
from .run_recorder import FORMAT
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
        number = 1 + sum(link['file'].startswith(f'{RELEASES}/')
                         for link in chain.links)
        file = f'{RELEASES}/{number:02d}.json'
        manifest = dict(
            format=FORMAT,
            kind='release',
            code=code_version(),
            environment=environment(),
            about=json.loads(json.dumps(about or {})),
            files={
                _name(path, work_dir): describe_file(path)
                for path in map(Path, files)
            },
            occasion=dict(start=None, end=now()))
        chain.append(file, manifest)
    return work_dir / file


def _name(path, work_dir):
    """Below the folder of the run, so that it can be moved; or where it is."""
    path = path.resolve()
    inside = path.is_relative_to(work_dir.resolve())
    return (path.relative_to(work_dir.resolve())
            if inside else path).as_posix()
