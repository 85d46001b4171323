"""Writing files so that a killed process never leaves half of one."""
import json
import os
from contextlib import contextmanager
from pathlib import Path

from .errors import ForgetError


@contextmanager
def atomic_path(path):
    """Yield a path beside ``path``; move it there when the block succeeds.

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
        os.replace(partial, path)
    except (OSError, RuntimeError) as err:
        if not _is_write_failure(err):
            raise
        raise ForgetError(
            f'cannot write {path}: {_reason(err)}; free some space or choose '
            'another place for it on the command line') from err
    finally:
        partial.unlink(missing_ok=True)


def write_json(path, content):
    """Write ``content`` as JSON, whole or not at all."""
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + '\n')


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
    # torch reports a full disk as a RuntimeError of its zip writer.
    return isinstance(err, OSError) or 'PytorchStreamWriter' in str(
        err) or 'unexpected pos' in str(err)


def _reason(err):
    return getattr(err, 'strerror', None) or str(err).splitlines()[0]
