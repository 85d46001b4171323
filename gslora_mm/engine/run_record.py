"""``run.json``: which run a folder belongs to."""
from pathlib import Path

from ..lora import fingerprint
from ..utils import ForgetError, read_form, write_json
from .checkpoints import load_plain_state
from .config_file import config_content, config_digest, without_places
from .data_digests import data_digests

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

    A run may go on elsewhere: paths of data and base checkpoint may change
    if the base weights, and the annotations or lists of images, are the
    same. And it may get longer: requests may be added behind those it has.

    Args:
        cfg (Config): The whole config.
        work_dir (Path): The folder of the run.
        resume (bool): Whether ``--resume`` was given.
        base_fingerprint (str): Fingerprint of the base checkpoint.

    Returns:
        int: How many requests were added to the run.

    Raises:
        ForgetError: If the folder holds a run and ``--resume`` was not
            given, or holds the run of another config, base checkpoint or
            data.
    """
    path, content = Path(work_dir) / RECORD, config_content(cfg)
    record = dict(
        config_digest=config_digest(content),
        base_fingerprint=base_fingerprint,
        data=data_digests(cfg),
        config=content)
    if not path.is_file():
        write_json(path, record)
        return 0
    if not resume:
        raise ForgetError(
            f'{work_dir} already holds a run; continue it with --resume, or '
            'choose another --work-dir')
    old = read_form(path, {'config': dict, 'base_fingerprint': str})
    shorter = _as_long_as(old['config'], content)
    _check_config(old, shorter, work_dir)
    if old['base_fingerprint'] != base_fingerprint:
        raise ForgetError(
            f'{work_dir} was started from another base checkpoint than '
            f'{cfg.load_from}; give that one, or choose another --work-dir')
    _check_data(old, record['data'], work_dir)
    if old['config'] != content:
        # Where things lie and which requests there are, for other tools.
        write_json(
            path,
            dict(old, config=content, config_digest=record['config_digest']))
    return len(content['forget']['requests']) - len(
        shorter['forget']['requests'])


def began_as(cfg, work_dir):
    """Whether a run began with the weights and data that a config names.

    Args:
        cfg (Config): The whole config.
        work_dir (Path): Folder of the run.

    Returns:
        bool: Whether it did.

    Raises:
        ForgetError: If its record or the checkpoint cannot be read.
    """
    old = read_form(
        Path(work_dir) / RECORD, {
            'config': dict,
            'base_fingerprint': str
        })
    state, _ = load_plain_state(cfg.load_from)
    return (old['base_fingerprint'] == fingerprint(state)
            and old.get('data') == data_digests(cfg))


def _as_long_as(old, new):
    """The new content with the requests of the old one, if it only has more.

    Values that are given for each request may have more as well.
    """
    known, now = (c.get('forget') or {} for c in (old, new))
    before, after = known.get('requests'), now.get('requests')
    if not (isinstance(before, list) and isinstance(after, list)
            and len(after) > len(before) and after[:len(before)] == before):
        return new
    return dict(new, forget=_shortened(known, now, len(before), len(after)))


def _shortened(old, new, before, after):
    if isinstance(old, dict) and isinstance(new, dict):
        return {
            k: _shortened(old.get(k), v, before, after)
            for k, v in new.items()
        }
    for_each = isinstance(old, list) and isinstance(
        new, list) and (len(old), len(new)) == (before, after)
    return old if for_each and new[:before] == old else new


def _check_config(old, content, work_dir):
    known = old['config']
    if 'data' in old:  # else nobody noted which data it was
        known, content = without_places(known), without_places(content)
    changed = differing_keys(known, content)
    if changed:
        raise ForgetError(
            f'{work_dir} holds the run of another config (different: '
            f'{", ".join(changed[:5])}{", ..." if len(changed) > 5 else ""});'
            ' resume with the config it was started with, or choose another '
            '--work-dir')


def _check_data(old, data, work_dir):
    known = old.get('data') or {}
    for key in known:
        if known[key] != data.get(key):
            raise ForgetError(
                f'{work_dir} was started with other {key} data: the '
                'annotations or the names of the images differ; restore '
                'them, name their place with --cfg-options, or choose '
                'another --work-dir')
