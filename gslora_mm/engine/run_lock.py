"""One process at a time in a folder."""
import errno
import fcntl
from pathlib import Path

from ..utils import ForgetError

LOCK = '.lock'


def lock_run(work_dir):
    """Keep other processes out of a folder while this one lives.

    What is locked is a file that nobody reads or replaces: the lock of a
    process ends when it closes the file anywhere, and does not follow to a
    new one of the same name.

    Args:
        work_dir (str | Path): The folder; made if it is not there.

    Returns:
        file: Holds the lock until it is closed or the process ends, however
        it ends.

    Raises:
        ForgetError: If another process is at work there, or the folder
            cannot be written.
    """
    folder = Path(work_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, 'a')
    except OSError as err:
        raise ForgetError(
            f'work dir {work_dir} cannot be written ({err.strerror}); choose '
            'another with --work-dir, or free some space') from err
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        # Some shared file systems have no locks at all.
        if err.errno in (errno.EACCES, errno.EAGAIN):
            file.close()
            raise ForgetError(
                f'another process is at work in {work_dir}; wait for it, '
                'stop it, or choose another --work-dir') from err
    return file
