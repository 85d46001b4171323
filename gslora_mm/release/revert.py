"""Back to the state after an earlier request, exactly."""
import shutil
from pathlib import Path

from ..analysis.summary import write_summary
from ..engine.artefacts import MERGED, METRICS
from ..engine.run_lock import lock_run
from ..engine.sequence import DIVERGED
from ..provenance import record_revert
from ..utils import ForgetError
from .chain import Chain
from .files import check_target, write_checkpoint

# Made of all requests, or by a tool that makes them again.
_OF_ALL = ('summary.json', 'summary.csv', 'summary.md')
_ANALYSIS = 'analysis'
_DROPPED = '.dropped-'


def revert_to(work_dir, index, out=None, base=None):
    """Write the weights after a request, those that were trained to the bit.

    Args:
        work_dir (str | Path): Folder of the run.
        index (int): The request; 0 is the base.
        out (str | Path, optional): Where to. By default ``merged.pth`` of
            the request, if that is gone; else nothing is written.
        base (str, optional): The original checkpoint; default: the one that
            the record of the run names.

    Returns:
        tuple[Path | None, str]: The file that was written, and what the
        weights were made from.

    Raises:
        ForgetError: If they cannot be made, or ``out`` is there already.
    """
    chain = Chain(work_dir, base)
    chain.check_index(index, first=0)
    if out:
        check_target(out, work_dir)
    elif index and not chain.has_merged(index):
        out = chain.folder(index) / MERGED
    state = chain.state(index)
    how = chain.remade.get(index, 'the base checkpoint')
    if not out:
        return None, how
    meta = dict(dataset_meta=dict(classes=_classes(chain)))
    if index:
        meta['gslora'] = chain.meta(index)
    write_checkpoint(out, state, meta)
    return Path(out), how


def _classes(chain):
    """Class names, as the merged checkpoints give them."""
    for i in range(1, len(chain) + 1):
        if chain.has_merged(i):
            meta = chain.merged(i)[1].get('dataset_meta')
            if isinstance(meta, dict) and meta.get('classes'):
                return tuple(meta['classes'])
    from ..engine.settings import ForgetSettings
    from .stored_config import config_of
    cfg = config_of(chain.record, chain.work_dir)
    return ForgetSettings.from_config(cfg).classes


def later_folders(work_dir, index):
    """Folders of the requests after one, finished or not, the last first.

    Args:
        work_dir (str | Path): Folder of the run.
        index (int): The request that stays the last; 0 for none.

    Returns:
        list[Path]: The folders.
    """
    found = {
        int(path.name[8:]): path
        for path in Path(work_dir).glob('request_*')
        if path.name[8:].isdigit() and path.is_dir()
    }
    return [found[i] for i in sorted(found, reverse=True) if i > index]


def drop_after(work_dir, index, base=None):
    """Remove all later requests from a run, which can then be resumed.

    The last one goes first, and each at once: whenever this is stopped, the
    folder holds a shorter run that is whole. The chain of manifests gets one
    that says what was dropped; where this was stopped before, drop again.

    Args:
        work_dir (str | Path): Folder of the run.
        index (int): The request that becomes the last; 0 for none.
        base (str, optional): The original checkpoint, which is needed where
            ``merged.pth`` of the request has to be made again.

    Returns:
        list[Path]: The folders that were removed.

    Raises:
        ForgetError: If a process is at work in the folder, or the weights
            that the run would go on from cannot be had.
    """
    work_dir = Path(work_dir)
    Chain(work_dir).check_index(index, first=0)
    lock = lock_run(work_dir)
    try:
        # What comes next starts from these weights.
        if index:
            revert_to(work_dir, index, base=base)
        folders = later_folders(work_dir, index)
        for folder in folders:
            hidden = folder.with_name(f'{_DROPPED}{folder.name}')
            _remove(hidden)
            folder.rename(hidden)
        for hidden in work_dir.glob(f'{_DROPPED}*'):
            _remove(hidden)
        record_revert(work_dir, index)
        _remove(work_dir / _ANALYSIS)
        for name in (*_OF_ALL, DIVERGED):
            (work_dir / name).unlink(missing_ok=True)
        if any(work_dir.glob(f'request_*/{METRICS}')):
            write_summary(work_dir)
    finally:
        lock.close()
    return folders


def _remove(folder):
    try:
        if folder.is_dir():
            shutil.rmtree(folder)
    except OSError as err:
        raise ForgetError(f'cannot remove {folder}: {err.strerror}; remove '
                          'it by hand') from err
