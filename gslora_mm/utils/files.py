"""Writing files so that a killed process never leaves half of one."""
import errno
import io
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import torch

from .errors import ForgetError

# What no second try mends: space, quota, limits and permissions.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS,
              errno.EACCES, errno.EPERM)
_CURE = ('nothing finished is lost: free some space, or choose another place '
         'for it on the command line, then go on')


@contextmanager
def atomic_path(path):
    """Yield a path beside ``path``; move it there when the block succeeds.

    The content is on the disk before the file has its name, and the name
    before anything that follows (``fsync`` of file and folder): neither a
    kill nor a power cut leaves half a file under a name that counts.

    Args:
        path (str | Path): Where the file shall end up.

    Yields:
        Path: Where to write it, with the same suffix.

    Raises:
        ForgetError: If the folder cannot be written or the disk is full.
    """
    path = Path(path)
    partial = path.with_name(f'.{os.getpid()}-{path.name}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        sync(partial)
        os.replace(partial, path)
        sync(path.parent)
    except (OSError, RuntimeError) as err:
        if not _is_write_failure(err):
            raise
        raise ForgetError(f'cannot write {path}: {_reason(err)}; '
                          f'{_CURE}') from err
    finally:
        # On a broken disk this fails as well, and says less.
        try:
            partial.unlink(missing_ok=True)
        except OSError:
            pass


def copy_folder(folder, path, leave=()):
    """Copy a folder, whole or not at all.

    Args:
        folder (str | Path): What to copy.
        path (str | Path): Where the copy shall end up; nothing is there.
        leave (Container[str]): Names of its files that are left out.

    Raises:
        ForgetError: If it cannot be read or written, or the disk is full.
    """
    folder, path = Path(folder), Path(path)
    partial = path.with_name(f'.{os.getpid()}-{path.name}')
    # Of processes that were killed.
    for old in path.parent.glob(f'.*-{path.name}'):
        shutil.rmtree(old, ignore_errors=True)

    def left_out(where, names):
        return [n for n in names if n in leave and Path(where) == folder]

    def copy(source, target):
        try:
            shutil.copy2(source, target)
            sync(target)
        except OSError as err:
            # Of an OSError copytree makes a list, and goes on.
            raise ForgetError(f'cannot copy {source}: {_reason(err)}; '
                              f'{_cure(err)}') from err

    try:
        shutil.copytree(folder, partial, ignore=left_out, copy_function=copy)
        for place in (partial, *partial.rglob('*/')):
            sync(place)
        os.replace(partial, path)
        sync(path.parent)
    except (OSError, shutil.Error) as err:
        raise ForgetError(f'cannot copy {folder} to {path}: {_reason(err)}; '
                          f'{_cure(err)}') from err
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def sync(path):
    """Have the system write a file or a folder to the disk now.

    Args:
        path (str | Path): The file or folder.

    Raises:
        OSError: If it cannot be written. (File systems that sync no folders
            are left alone.)
    """
    flags = os.O_RDONLY | (os.O_DIRECTORY if Path(path).is_dir() else 0)
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    except OSError as err:
        if err.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise
    finally:
        os.close(handle)


def write_bytes(path, content):
    """Write bytes, whole or not at all."""
    with atomic_path(path) as partial:
        partial.write_bytes(content)


def write_text(path, content):
    """Write text, whole or not at all."""
    write_bytes(path, content.encode())


def write_json(path, content):
    """Write ``content`` as JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2) + '\n')


def write_torch(path, content):
    """Write what ``torch.save`` takes, whole or not at all.

    The same content gives the same bytes: torch would put the name of the
    file, here that of a temporary one, into the archive. Its own writer also
    ends the process where a disk is full; it writes to memory here.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getbuffer())


def read_json(path):
    """Read a JSON file.

    Raises:
        ForgetError: If it is missing or damaged.
    """
    try:
        return json.loads(Path(path).read_text())
    except OSError as err:
        raise ForgetError(f'cannot read {path}: {err.strerror}') from err
    except (ValueError, RecursionError) as err:
        raise ForgetError(f'{path} is damaged, no valid JSON ({err}); restore '
                          'or remove it') from err


def _is_write_failure(err):
    # Some writers of torch and safetensors report it in words of their own.
    return isinstance(err, OSError) or 'PytorchStreamWriter' in str(
        err) or 'unexpected pos' in str(err)


def _cure(err):
    if getattr(err, 'errno', None) in UNWRITABLE:
        return _CURE
    return 'check the file and its permissions'


def _reason(err):
    return getattr(err, 'strerror', None) or str(err).splitlines()[0]
