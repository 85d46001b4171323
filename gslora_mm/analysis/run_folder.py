"""A run as it lies on disk, read back as untrusted input."""
from dataclasses import dataclass
from pathlib import Path

from ..datasets.class_orders import published_requests
from ..engine.artefacts import ADAPTER, GROUPS, MERGED
from ..engine.checkpoints import load_plain_state
from ..engine.request_run import is_trained
from ..engine.run_record import RECORD
from ..lora import fingerprint, load_adapter
from ..utils import ForgetError
from .artefact_forms import read_groups, read_record


@dataclass
class RequestFiles:
    """What one finished request left behind.

    Attributes:
        index (int): Place in the sequence, from 1.
        groups (dict): Content of ``groups.json``.
        adapter (dict[str, Tensor]): The LoRA tensors, zero groups dropped.
        adapter_meta (dict): Metadata of the adapter.
        adapter_bytes (int | None): Size of the adapter file; None without
            LoRA, where there is none.
        merged (dict[str, Tensor]): Weights of the merged checkpoint.
        meta (dict): The ``gslora`` part of its meta.
        path (str): The merged checkpoint.
    """

    index: int
    groups: dict
    adapter: dict
    adapter_meta: dict
    adapter_bytes: int
    merged: dict
    meta: dict
    path: str


def finished_requests(work_dir):
    """Find the requests that are trained, and name those that are not.

    A request counts only if all before it are there: its weights start from
    theirs.

    Args:
        work_dir (str | Path): Folder of the run.

    Returns:
        tuple[list[tuple[int, Path]], list[str]]: Index and folder of the
        finished requests in order; a note on each that is left out.

    Raises:
        ForgetError: If there is no such folder or nothing is finished.
    """
    work_dir = Path(work_dir)
    if not work_dir.is_dir():
        raise ForgetError(f'work dir {work_dir} does not exist; name the '
                          'folder that tools/train.py wrote')
    present = {
        int(p.name[8:]): p
        for p in work_dir.glob('request_*') if p.name[8:].isdigit()
    }
    finished = []
    while is_trained(present.get(len(finished) + 1, work_dir / 'none')):
        finished.append((len(finished) + 1, present[len(finished) + 1]))
    if not finished:
        raise ForgetError(
            f'{work_dir} holds no finished first request; train it first: '
            f'python tools/train.py CONFIG --work-dir {work_dir}')
    known = max([_configured(work_dir), *present])
    notes = [
        f'request {i} is skipped: ' +
        ('one before it is missing'
         if is_trained(present.get(i, work_dir)) else 'not finished')
        for i in range(len(finished) + 1, known + 1)
    ]
    return finished, notes


def _configured(work_dir):
    """How many requests the config of the run lists; 0 if unknown."""
    config = _record(work_dir).get('config') or {}
    requests = (config.get('forget') or {}).get('requests') or []
    if isinstance(requests, str):
        # Only their number is asked: any hundred names will do.
        requests = published_requests(requests, [str(i) for i in range(100)])
    return len(requests)


def _record(work_dir):
    path = Path(work_dir) / RECORD
    return read_record(path) if path.is_file() else {}


def load_base(work_dir, base=None):
    """Load the checkpoint that the first request started from.

    Args:
        work_dir (str | Path): Folder of the run.
        base (str, optional): The checkpoint; default: the one that the
            config of the run names.

    Returns:
        tuple[str, dict[str, Tensor], str]: Where it lies, its weights and
        their fingerprint.

    Raises:
        ForgetError: If it is gone or is not the one the run started from.
    """
    record = _record(work_dir)
    source = base or (record.get('config') or {}).get('load_from')
    if not source:
        raise ForgetError(f'{Path(work_dir) / RECORD} names no base '
                          'checkpoint; name it with --base FILE')
    source = str(source)
    if '://' not in source and not Path(source).is_file():
        raise ForgetError(f'base checkpoint {source} is gone; name where it '
                          'lies now with --base FILE')
    state, _ = load_plain_state(source)
    actual = fingerprint(state)
    if record.get('base_fingerprint', actual) != actual:
        raise ForgetError(
            f'{source} is not the base checkpoint that {work_dir} was '
            'started from (other fingerprint); name that one with --base '
            'FILE')
    return source, state, actual


def load_request(index, folder):
    """Load what a finished request left behind.

    Args:
        index (int): Place in the sequence, from 1.
        folder (Path): Its folder.

    Returns:
        RequestFiles: The files' content.

    Raises:
        ForgetError: If one is missing or damaged.
    """
    cure = (f'restore it, or remove {folder} and train the request again '
            'with --resume')
    for name in (GROUPS, MERGED):
        _check_there(folder / name, cure)
    groups = read_groups(folder / GROUPS, whole=True)
    rows, own = groups['groups'], groups.get('train', 'lora') != 'lora'
    if not (rows or own):
        raise ForgetError(f'{folder / GROUPS} lacks groups; {cure}')
    adapter, adapter_meta, size = {}, {}, None
    if rows:
        _check_there(folder / ADAPTER, cure)
        try:
            adapter, adapter_meta = load_adapter(folder / ADAPTER)
        except ValueError as err:
            raise ForgetError(f'{err}; {cure}') from err
        size = (folder / ADAPTER).stat().st_size
    merged, meta = load_plain_state(folder / MERGED)
    return RequestFiles(index, groups, adapter, adapter_meta, size, merged,
                        meta.get('gslora') or {}, str(folder / MERGED))


def _check_there(path, cure):
    if not path.is_file():
        raise ForgetError(f'{path} is missing; {cure}')
