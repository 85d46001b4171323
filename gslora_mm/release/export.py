"""Making a release: what leaves the house, checked before it does."""
from pathlib import Path

from ..engine.adapter_info import versions
from ..engine.artefacts import ADAPTER, MERGED
from ..engine.checkpoints import load_plain_state
from ..engine.run_lock import lock_run
from ..engine.settings import ForgetSettings
from ..engine.tasks import task_of
from ..lora import fingerprint
from ..provenance import record_release
from ..utils import ForgetError, write_json
from ..version import __version__
from .chain import Chain
from .files import check_target, sha256_of, write_checkpoint
from .holders import find_holders
from .predictions import Batch, largest_gaps, same_predictions
from .stored_config import config_of
from .tensor_checks import check_untouched, compare_tensors

RELEASE_JSON = 'release.json'
# Rounding of the merged products, against scores in [0, 1] and pixels.
TOLERANCE = dict(scores=1e-4, boxes=0.05)


def release_path(work_dir, index):
    """Path: Where a release goes unless a place is named."""
    return Path(work_dir, 'releases', f'request_{index:02d}', 'release.pth')


def export_release(work_dir,
                   index=None,
                   out=None,
                   base=None,
                   config=None,
                   images=8):
    """Make a release from base and adapters, and check it.

    Args:
        work_dir (str | Path): Folder of the run.
        index (int, optional): The last request that it takes in. Defaults to
            the last finished one.
        out (str | Path, optional): Where to. Defaults to
            :func:`release_path`.
        base (str, optional): The original checkpoint; default: the one that
            the record of the run names.
        config (str, optional): Config file of the run; default: the record.
        images (int): How many images predictions are compared on; 0 leaves
            this check out.

    Returns:
        tuple[Path, dict]: The checkpoint and the content of
        ``release.json``, which lies beside it.

    Raises:
        ForgetError: If something is missing, a check fails, or a process is
            at work in the folder; then nothing is left behind.
    """
    chain = Chain(work_dir, base)
    index = len(chain) if index is None else index
    chain.check_index(index, first=1)
    # It is going to be noted in the chain of the run.
    lock_run(work_dir).close()
    out = Path(out) if out else release_path(work_dir, index)
    _check_out(out, work_dir, index)
    cfg = config_of(chain.record, work_dir, config)
    settings = ForgetSettings.from_config(cfg)
    state, about = chain.remake(index), chain.meta(index)
    checks = _fingerprint_checks(chain, index, state)
    tensors = compare_tensors(chain.base()[1], state)
    checks['untouched'] = check_untouched(chain, index, tensors['identical'])
    checks['predictions'] = _prediction_check(chain, index, state, cfg,
                                              settings, images)
    meta = _meta(about, chain.base()[2], settings)
    digest = write_checkpoint(out, state, meta)
    try:
        _check_written(out, state, digest)
    except ForgetError:
        out.unlink(missing_ok=True)
        raise
    forgotten = list(meta['gslora']['forgotten'])
    content = dict(
        release=out.name,
        sha256=digest,
        bytes=out.stat().st_size,
        request=index,
        forgotten=forgotten,
        fingerprint=fingerprint(state),
        base=_base_info(chain),
        config_digest=chain.record.get('config_digest'),
        versions=_versions(cfg),
        sources=_sources(chain, index),
        checks=checks,
        tensors=dict(
            total=len(state),
            identical_to_base=tensors['identical'],
            changed=tensors['changed']),
        still_hold=find_holders(work_dir, forgotten, fingerprint(state),
                                chain.record))
    beside = out.with_name(RELEASE_JSON)
    write_json(beside, content)
    record_release(work_dir, [out, beside],
                   dict(request=index, forgotten=forgotten))
    return out, content


def _check_out(out, work_dir, index):
    """A release may replace itself, and nothing else."""
    own = out == release_path(work_dir, index)
    check_target(out, work_dir, forced=own)
    beside = out.with_name(RELEASE_JSON)
    if beside.exists() and not own:
        raise ForgetError(f'{beside} is there already; a release needs a '
                          'folder of its own, name a file in another one '
                          'with --out FILE')


def _fingerprint_checks(chain, index, state):
    """The weights are those of the training; how they were made."""
    actual = fingerprint(state)
    found = dict(
        fingerprint=actual,
        as_recorded_at_training=actual == chain.meta(index).get(
            'merged_fingerprint'),
        made_from={
            str(i): how
            for i, how in chain.remade.items()
        })
    if chain.has_merged(index):
        merged = chain.merged(index)[0]
        found['identical_to_merged_pth'] = fingerprint(merged) == actual
    failed = [key for key, value in found.items() if value is False]
    if failed:
        raise ForgetError(
            f'the weights after request {index} are not those that were '
            f'trained ({failed[0]} is false); restore adapters and {MERGED}')
    return found


def _prediction_check(chain, index, state, cfg, settings, images):
    """Plain model with the release, against the run's own models."""
    if not images:
        return dict(images=0, note='left out')
    batch = Batch(cfg, settings, task_of(cfg), images)
    plain = batch.plain(state, 'the release')
    found = dict(images=batch.images)
    if chain.has_merged(index):
        merged = batch.plain(chain.merged(index)[0], MERGED)
        found['identical_to_merged_pth'] = same_predictions(plain, merged)
        if not found['identical_to_merged_pth']:
            raise ForgetError(
                f'the release does not predict what {MERGED} of request '
                f'{index} predicts on the same machine')
    if all(chain.has_lora(i) for i in range(1, index + 1)):
        wrapped = batch.wrapped(
            chain.base()[1], [chain.adapter(i) for i in range(1, index + 1)],
            settings.requests[index - 1])
        gaps = largest_gaps(plain, wrapped)
        found.update(
            largest_gap_to_adapters_unmerged=gaps,
            tolerance={k: TOLERANCE[k]
                       for k in gaps})
        for key, gap in gaps.items():
            if not gap <= TOLERANCE[key]:
                raise ForgetError(
                    f'the release and the base with its adapters differ by '
                    f'{gap:.2g} in their {key}, {TOLERANCE[key]:g} is '
                    'allowed; check the base checkpoint and the config')
    return found


def _meta(about, base_print, settings):
    """The little that a release says of itself."""
    return dict(
        dataset_meta=dict(classes=settings.classes),
        gslora=dict(
            release=True,
            merged=True,
            version=__version__,
            request=about['request'],
            classes=list(about['classes']),
            forgotten=list(about['forgotten']),
            base_fingerprint=base_print,
            merged_fingerprint=about['merged_fingerprint']))


def _check_written(path, state, digest):
    """Read the file back, as whoever gets it would."""
    found, _ = load_plain_state(path)
    if sha256_of(path) != digest or fingerprint(found) != fingerprint(state):
        raise ForgetError(f'{path} is not what was written to it; check the '
                          'disk, then export again')


def _base_info(chain):
    source, _, fingerprint_ = chain.base()
    found = dict(file=source, fingerprint=fingerprint_)
    if '://' not in source:
        found['sha256'] = sha256_of(source)
    return found


def _sources(chain, index):
    """Digests of the files of the run that the release is made of."""
    found = {}
    for i in range(1, index + 1):
        for name in (ADAPTER, MERGED):
            path = chain.folder(i) / name
            if path.is_file():
                found[str(path.relative_to(chain.work_dir))] = sha256_of(path)
    return found


def _versions(cfg):
    from mmengine.registry import MODELS
    return versions(MODELS.build(task_of(cfg).plain_model(cfg)))


def list_holders(work_dir, index=None):
    """List what still holds the classes that a release would have forgotten.

    Args:
        work_dir (str | Path): Folder of the run.
        index (int, optional): The last request of the release. Defaults to
            the last finished one.

    Returns:
        list[dict]: See :func:`~.holders.find_holders`.

    Raises:
        ForgetError: If there is no such run or request.
    """
    chain = Chain(work_dir)
    index = len(chain) if index is None else index
    chain.check_index(index, first=1)
    about = chain.meta(index)
    return find_holders(work_dir, about['forgotten'],
                        about['merged_fingerprint'], chain.record)
