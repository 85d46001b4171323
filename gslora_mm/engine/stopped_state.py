"""The state of a training that was stopped in the middle of an epoch."""
import random
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.model import is_model_wrapper

STOPPED = 'stopped.pth'


def unwrapped(model):
    """The model inside a distributed wrapper."""
    return model.module if is_model_wrapper(model) else model


def save_stopped(runner, batches):
    """Write ``stopped.pth`` beside the checkpoints of the epochs.

    Called by every process after an optimizer step. The random numbers of
    all processes are kept, so that the rest of the epoch is what it would
    have been.

    Args:
        runner (Runner): The runner.
        batches (int): How many batches of the epoch are done.
    """
    states = all_gather_object(_random_state(runner.model))
    runner.save_checkpoint(
        runner.work_dir,
        STOPPED,
        meta=dict(stopped=dict(batches=batches, random=states)),
        by_epoch=False)


def read_stopped(folder, epoch=None):
    """Read what :func:`save_stopped` wrote.

    Args:
        folder (str | Path): Where the checkpoints are.
        epoch (int, optional): The epoch that is to be continued, from 0.

    Returns:
        dict | None: The checkpoint; None if there is none that is whole, or
        it is of another epoch or number of processes: then the epoch has to
        be repeated.
    """
    path = Path(folder) / STOPPED
    if not path.is_file():
        return None
    try:
        found = torch.load(path, map_location='cpu', weights_only=True)
        about = found['meta']['stopped']
        fits = len(about['random']) == get_world_size()
    except Exception:  # whatever half a file makes torch raise
        return None
    if not fits or epoch not in (None, found['meta']['epoch']):
        return None
    return found


def restore_stopped(runner, checkpoint):
    """Put a training back to where it was stopped, random numbers aside.

    The epoch has begun by now, from the state that it began with the first
    time: what methods do at its start is not done twice.

    Args:
        runner (Runner): The runner, at the start of that epoch.
        checkpoint (dict): See :func:`read_stopped`.
    """
    resumed, runner._resume = runner._resume, True
    try:
        runner.call_hook('after_load_checkpoint', checkpoint=checkpoint)
    finally:
        runner._resume = resumed
    unwrapped(runner.model).load_state_dict(checkpoint['state_dict'])
    runner.optim_wrapper.load_state_dict(checkpoint['optimizer'])
    schedulers = runner.param_schedulers or []
    for scheduler, state in zip(schedulers,
                                checkpoint.get('param_schedulers', [])):
        scheduler.load_state_dict(state)
    runner.message_hub.load_state_dict(checkpoint['message_hub'])
    runner.train_loop._iter = checkpoint['meta']['iter']


def restore_random(runner, checkpoint):
    """Put the random numbers of this process back, see save_stopped."""
    state = checkpoint['meta']['stopped']['random'][get_rank()]
    version, numbers, gauss = state['python']
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state['numpy']
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'])
    if state['cuda'] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'])
    generator = getattr(unwrapped(runner.model), 'generator', None)
    if generator is not None and state['generator'] is not None:
        generator.set_state(state['generator'])


def _random_state(model):
    """What a file that runs no code can hold of all random numbers."""
    version, numbers, gauss = random.getstate()
    name, keys, *rest = np.random.get_state()
    generator = getattr(unwrapped(model), 'generator', None)
    return dict(
        python=[version, list(numbers), gauss],
        numpy=[name, torch.tensor(keys.astype(np.int64)), *rest],
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        generator=None if generator is None else generator.get_state())
