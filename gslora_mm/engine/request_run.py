"""Training one request and writing what it leaves behind."""
from pathlib import Path

import torch
from mmengine.dist import barrier, is_main_process

from ..utils import DivergedError
from ..utils.memory import peak_memory_mb, reset_peak_memory
from .artefacts import TRAINING, write_artefacts
from .checkpoints import load_plain_state
from .edit_run import edit_request
from .hooks.method_hook import unwrap
from .method_class import method_flag
from .request_config import training_config
from .runner import RequestRunner
from .stopped_state import STOPPED
from .train_loop import make_stoppable


def is_trained(folder):
    """Whether a request's training is finished and written."""
    return (Path(folder) / TRAINING).is_file()


def remove_leftovers(work_dir):
    """Remove what killed processes left of a run, other than its results.

    Args:
        work_dir (Path): Folder of the run.
    """
    for path in Path(work_dir).rglob('.*-*'):
        # Half-written files of atomic_path.
        if path.name[1:].partition('-')[0].isdigit() and path.is_file():
            path.unlink()
    for done in Path(work_dir).glob(f'request_*/{TRAINING}'):
        _remove_training_state(done.parent)


def _remove_training_state(folder):
    for path in [
            *folder.glob('epoch_*.pth'), folder / STOPPED,
            folder / 'last_checkpoint'
    ]:
        path.unlink(missing_ok=True)


def _number(path):
    """Which epoch a checkpoint is of; 0 if it is none of mmengine's."""
    number = path.stem.partition('_')[2]
    return int(number) if number.isdigit() else 0


def newest_checkpoint(folder):
    """The newest training checkpoint that is whole, or None.

    A kill can leave the newest file half written; the one before it is kept
    until the next is complete.
    """
    found = sorted([p for p in Path(folder).glob('epoch_*.pth') if _number(p)],
                   key=_number,
                   reverse=True)
    for path in found:
        try:
            torch.load(path, map_location='cpu', weights_only=True)
            return path
        except Exception:  # whatever half a file makes torch raise
            path.unlink(missing_ok=True)
    return None


def train_request(cfg, settings, request, folder, base, base_print):
    """Train one request and write what it leaves behind.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        request (Request): The request.
        folder (Path): Its folder; training goes on from a checkpoint there.
        base (str): Plain checkpoint the request starts from.
        base_print (str): Fingerprint of the base weights.

    Raises:
        DivergedError: If the loss explodes.
        ForgetError: If the base does not load whole.
    """
    if not method_flag(settings.method_of(request), 'trains'):
        edit_request(cfg, settings, request, folder, base, base_print)
        barrier()
        return
    run = training_config(cfg, settings, request, folder, base, base_print)
    make_stoppable(run)
    resumed = newest_checkpoint(folder)
    again = bool(resumed) or (folder / STOPPED).is_file()
    if resumed:
        run.load_from, run.resume = str(resumed), True
    runner = RequestRunner.from_cfg(run)
    reset_peak_memory()
    try:
        runner.train()
    except ValueError as err:
        if 'invalid numeric entries' not in str(err):
            raise
        # The Hungarian assigner meets the NaN before any loss does.
        raise DivergedError(
            f'{request.name}, iteration {runner.iter + 1}: the matching cost '
            f'is not finite, training stopped; the state after epoch '
            f'{runner.epoch} is kept; lower '
            f'{unwrap(runner.model).method.lower}, then start into a new '
            '--work-dir') from err
    if is_main_process():
        hub = runner.message_hub.runtime_info
        write_artefacts(
            unwrap(runner.model),
            load_plain_state(base)[0], settings, request, folder, base_print,
            dict(
                seconds=hub['seconds'],
                resumed=again,
                peak_memory_mb=peak_memory_mb(),
                iterations=runner.iter,
                epochs=runner.epoch), hub.get('group_history', []))
        _remove_training_state(folder)
    barrier()
