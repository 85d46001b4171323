"""Epochs that can be stopped in the middle and continued."""
from pathlib import Path

from mmengine.runner import EpochBasedTrainLoop

from ..registry import LOOPS
from .stopped_state import (STOPPED, read_stopped, restore_random,
                            restore_stopped)

_PLAIN = ('EpochBasedTrainLoop', 'mmengine.EpochBasedTrainLoop')


@LOOPS.register_module()
class StoppableTrainLoop(EpochBasedTrainLoop):
    """mmengine's loop over epochs, which may begin in the middle of one.

    An epoch that :class:`~gslora_mm.engine.hooks.StopHook` left begins as it
    did, with the same batches; those that were done are skipped, and weights,
    optimizer, schedules and random numbers are put back to where they were.
    The result is, to the bit, that of a training that was not stopped.
    """

    def run_epoch(self):
        """Iterate one epoch, or the rest of it."""
        runner = self.runner
        stopped = read_stopped(runner.work_dir, self._epoch)
        runner.call_hook('before_train_epoch')
        runner.model.train()
        batches = enumerate(self.dataloader)
        if stopped:
            for _ in range(stopped['meta']['stopped']['batches']):
                next(batches)
            restore_stopped(runner, stopped)
            restore_random(runner, stopped)
        for idx, data_batch in batches:
            self.run_iter(idx, data_batch)
        runner.call_hook('after_train_epoch')
        self._epoch += 1
        (Path(runner.work_dir) / STOPPED).unlink(missing_ok=True)


def make_stoppable(run):
    """Let a training stop in the middle of an epoch and go on there.

    A loop of the user's own stops as well, and repeats what it did since its
    last checkpoint.

    Args:
        run (Config): Config of an mmengine run, changed in place.
    """
    kind = run.train_cfg.get('type', _PLAIN[0])
    keeps = kind in _PLAIN and run.train_cfg.get('by_epoch', True)
    if keeps:
        run.train_cfg.type = 'gslora_mm.StoppableTrainLoop'
        # mmengine refuses both.
        run.train_cfg.pop('by_epoch', None)
    run.custom_hooks = [
        *(run.get('custom_hooks') or []),
        dict(type='gslora_mm.StopHook', save=keeps)
    ]
