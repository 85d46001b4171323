"""Training a base model with plain mmengine."""
from pathlib import Path

import torch
from mmengine.dist import barrier, is_main_process

from ..models.cpu_deformable_attention import fast_cpu_attention
from .checkpoints import save_plain
from .run_lock import lock_run
from .runner import SafeRunner
from .stopped_state import STOPPED, read_stopped, unwrapped
from .tasks import task_of
from .train_loop import make_stoppable

BASE_MODEL = 'base.pth'


def pretrain(cfg, resume=False, out=None):
    """Train, then write the weights as a plain checkpoint.

    Args:
        cfg (Config): An mmengine config with ``work_dir``.
        resume (bool): Go on from the newest checkpoint in ``work_dir`` that
            is whole, if there is one. Defaults to False.
        out (str | Path, optional): Where the weights go; default
            ``base.pth`` in ``work_dir``.

    Returns:
        Path: Where they went.

    Raises:
        ForgetError: If the data is bad, or another process is at work in
            the folder.
    """
    folder = Path(cfg.work_dir)
    task = task_of(cfg)
    classes = task.class_names(cfg)
    if is_main_process():
        task.check_data(cfg, classes)
        lock = lock_run(folder)
    barrier()
    make_stoppable(cfg)
    found = resume_point(folder) if resume else None
    cfg.resume = found is not None
    if found:
        cfg.load_from = str(found)
    if not resume:
        (folder / STOPPED).unlink(missing_ok=True)
    with fast_cpu_attention():
        model = unwrapped(SafeRunner.from_cfg(cfg).train())
    out = Path(out or folder / BASE_MODEL)
    if is_main_process():
        save_plain(out, model.state_dict(),
                   dict(dataset_meta=dict(classes=classes)))
        lock.close()
    barrier()
    return out


def resume_point(folder):
    """The checkpoint of a training that is farthest and whole.

    Args:
        folder (Path): Where the checkpoints are.

    Returns:
        Path | None: It; None if there is none.
    """
    best, farthest = None, -1
    for path in Path(folder).glob('*.pth'):
        if not path.stem.startswith(('epoch_', 'iter_')):
            continue
        done = _iterations(path)
        if done > farthest:
            best, farthest = path, done
    stopped = read_stopped(folder)
    if stopped and stopped['meta']['iter'] > farthest:
        return Path(folder) / STOPPED
    return best


def _iterations(path):
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
        return content['meta']['iter']
    except Exception:  # whatever half a file makes torch raise
        return -1
