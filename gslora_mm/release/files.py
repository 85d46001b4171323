"""Writing and reading checkpoints that leave the house."""
import hashlib
from pathlib import Path

from ..engine.checkpoints import save_plain
from ..utils import ForgetError


def write_checkpoint(path, state, meta):
    """Write a plain checkpoint, whole or not at all; see :func:`save_plain`.

    Args:
        path (str | Path): Where to.
        state (dict[str, Tensor]): Its weights.
        meta (dict): Its meta.

    Returns:
        str: SHA-256 of the file.
    """
    save_plain(path, state, meta)
    return sha256_of(path)


def sha256_of(path):
    """SHA-256 of a file in hex.

    Raises:
        ForgetError: If it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, 'rb') as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as err:
        raise ForgetError(f'cannot read {path}: {err.strerror}') from err
    return digest.hexdigest()


def check_target(path, work_dir, forced=False):
    """Check that a file may be written.

    Args:
        path (str | Path): The file.
        work_dir (str | Path): Folder of the run, whose own files stay.
        forced (bool): Whether a file that is there may be replaced.

    Raises:
        ForgetError: If it is one of the run's, a folder, or there already.
    """
    path, work_dir = Path(path), Path(work_dir).resolve()
    inside = path.resolve()
    if path.is_dir():
        raise ForgetError(f'{path} is a folder; name a file with --out FILE')
    parent = inside.parent
    if parent.parent == work_dir and parent.name.startswith('request_'):
        raise ForgetError(f'{path} lies among the files of a request; name '
                          'another file with --out FILE')
    if path.exists() and not forced:
        raise ForgetError(f'{path} is there already; remove it, or name '
                          'another file with --out FILE')
