"""``run.json``: which run a folder belongs to."""
import errno
import fcntl
from pathlib import Path

from ..utils import ForgetError, read_form, write_json
from .config_file import config_content, config_digest

RECORD = 'run.json'


def differing_keys(old, new, prefix=''):
    """Dotted keys in which two nested dicts differ."""
    found = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differing_keys(a, b, f'{prefix}{key}.')
        elif a != b:
            found.append(f'{prefix}{key}')
    return found


def open_run(cfg, work_dir, resume, base_fingerprint):
    """Claim a work dir for a run, or check that it is this run's own.

    Args:
        cfg (Config): The whole config.
        work_dir (Path): The folder of the run.
        resume (bool): Whether ``--resume`` was given.
        base_fingerprint (str): Fingerprint of the base checkpoint.

    Raises:
        ForgetError: If the folder holds a run and ``--resume`` was not
            given, or holds the run of another config or base checkpoint.
    """
    path, content = Path(work_dir) / RECORD, config_content(cfg)
    if not path.is_file():
        write_json(
            path,
            dict(
                config_digest=config_digest(content),
                base_fingerprint=base_fingerprint,
                config=content))
        return
    if not resume:
        raise ForgetError(
            f'{work_dir} already holds a run; continue it with --resume, or '
            'choose another --work-dir')
    old = read_form(path, {'config': dict, 'base_fingerprint': str})
    changed = differing_keys(old['config'], content)
    if changed:
        raise ForgetError(
            f'{work_dir} holds the run of another config (different: '
            f'{", ".join(changed[:5])}{", ..." if len(changed) > 5 else ""});'
            ' resume with the config it was started with, or choose another '
            '--work-dir')
    if old.get('base_fingerprint') != base_fingerprint:
        raise ForgetError(
            f'{work_dir} was started from another base checkpoint than '
            f'{cfg.load_from}; give that one, or choose another --work-dir')


def lock_run(work_dir, name=RECORD):
    """Keep other processes out of a work dir while this one lives.

    Args:
        work_dir (Path): The folder of the run.
        name (str): File in it that is locked, made if it is not there;
            default the record of the run.

    Returns:
        file: Holds the lock until it is closed or the process ends, however
        it ends.

    Raises:
        ForgetError: If another process is at work there.
    """
    file = open(Path(work_dir) / name, 'a+')
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
