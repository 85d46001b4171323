"""``run.json``: which run a folder belongs to."""
from pathlib import Path

from ..lora import fingerprint
from ..utils import ForgetError, read_form, write_json
from .checkpoints import load_plain_state
from .config_file import config_content, config_digest, without_places
from .data_digests import data_digests
from .method_defaults import KEY as DEFAULTS
from .method_defaults import method_defaults, with_arguments

RECORD = 'run.json'
# Sections of ``forget`` in which a list has a value for each request.
_FOR_EACH = ('method', 'ema')


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
    same. And requests that are not begun may change, with the values that
    are given for each: others may take their place, come behind them, or
    none. Defaults of the method's class count as if they were given: a run
    does not go on with those of another version.

    Args:
        cfg (Config): The whole config.
        work_dir (Path): The folder of the run.
        resume (bool): Whether ``--resume`` was given.
        base_fingerprint (str): Fingerprint of the base checkpoint.

    Returns:
        str: How the requests of the run changed; empty if they did not.

    Raises:
        ForgetError: If the folder holds a run and ``--resume`` was not
            given, or holds the run of another config, base checkpoint or
            data, or has begun requests that are others now.
    """
    path, content = Path(work_dir) / RECORD, config_content(cfg)
    record = dict(
        config_digest=config_digest(content),
        base_fingerprint=base_fingerprint,
        data=data_digests(cfg),
        config=content,
        **{DEFAULTS: method_defaults(content)})
    if not path.is_file():
        write_json(path, record)
        return ''
    if not resume:
        raise ForgetError(
            f'{work_dir} already holds a run; continue it with --resume, or '
            'choose another --work-dir')
    old = read_form(path, {'config': dict, 'base_fingerprint': str})
    begun = _begun(work_dir)
    _check_config(
        old, dict(record, config=_as_it_began(old['config'], content, begun)),
        work_dir, begun)
    if old['base_fingerprint'] != base_fingerprint:
        raise ForgetError(
            f'{work_dir} was started from another base checkpoint than '
            f'{cfg.load_from}; give that one, or choose another --work-dir')
    _check_data(old, record['data'], work_dir)
    if old['config'] != content:
        # Where things lie and which requests there are, for other tools.
        write_json(
            path,
            dict(
                old,
                config=content,
                config_digest=record['config_digest'],
                **{k: record[k]
                   for k in (DEFAULTS, ) if k in old}))
    return _said(old['config'], content)


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


def _begun(work_dir):
    """Number of the last request that has a folder; 0 if none has."""
    numbers = [p.name[8:] for p in Path(work_dir).glob('request_*')]
    return max((int(n) for n in numbers if n.isdigit()), default=0)


def _requests(content):
    """The requests of a config; None if it names a published choice."""
    found = (content.get('forget') or {}).get('requests')
    return found if isinstance(found, list) else None


def _as_it_began(old, new, begun):
    """The new content with the old one's requests, if those begun are equal.

    The same for the values of ``forget`` that are given for each request.
    """
    before, after = _requests(old), _requests(new)
    if before is None or after is None or (len(after) < begun
                                           or after[:begun] != before[:begun]):
        return new
    forget = dict(new['forget'], requests=before)
    for section in _FOR_EACH:
        values, known = forget.get(section), old['forget'].get(section)
        if isinstance(values, dict) and isinstance(known, dict):
            forget[section] = {
                k: known[k] if _same_where_begun(known.get(k), v, begun) else v
                for k, v in values.items()
            }
    return dict(new, forget=forget)


def _same_where_begun(old, new, begun):
    return isinstance(old, list) and isinstance(
        new, list) and old[:begun] == new[:begun]


def _said(old, new):
    """A line that tells how the requests changed."""
    before, after = _requests(old), _requests(new)
    if before is None or after is None:
        return ''
    pairs = enumerate(zip(before, after), 1)
    changed = [f'request_{i:02d}' for i, (a, b) in pairs if a != b]
    more = len(after) - len(before)
    return '; '.join([
        *([f'requests changed in the run: {", ".join(changed)}']
          if changed else []),
        *([f'requests added to the run: {more}'] if more > 0 else []),
        *([f'requests taken out of the run: {-more}'] if more < 0 else [])
    ])


def _check_config(old, new, work_dir, begun):
    known, content = with_arguments(old['config'], old.get(DEFAULTS),
                                    new['config'], new[DEFAULTS])
    if 'data' in old:  # else nobody noted which data it was
        known, content = without_places(known), without_places(content)
    changed = differing_keys(known, content)
    if changed:
        cure = 'resume with the config it was started with'
        left = [
            f'forget.method.{k}={v!r}'
            for k, v in (old.get(DEFAULTS) or {}).items()
            if f'forget.method.{k}' in changed
        ]
        if left:
            cure += f' ({", ".join(left)}: the defaults of then)'
        if begun and 'forget.requests' in changed:
            cure += (', take requests that were begun '
                     f'({begun}) back with tools/revert.py --drop')
        raise ForgetError(
            f'{work_dir} holds the run of another config (different: '
            f'{", ".join(changed[:5])}{", ..." if len(changed) > 5 else ""});'
            f' {cure}, or choose another --work-dir')


def _check_data(old, data, work_dir):
    known = old.get('data') or {}
    for key in known:
        if known[key] != data.get(key):
            raise ForgetError(
                f'{work_dir} was started with other {key} data: the '
                'annotations or the names of the images differ; restore '
                'them, name their place with --cfg-options, or choose '
                'another --work-dir')
