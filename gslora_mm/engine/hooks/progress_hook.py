"""Progress on the console."""
import time

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from rich.progress import (BarColumn, MofNCompleteColumn, Progress, TextColumn,
                           TimeRemainingColumn)

from ...registry import HOOKS
from .method_hook import unwrap


@HOOKS.register_module()
class ProgressHook(Hook):
    """A progress bar on a terminal, one line per epoch everywhere.

    Args:
        title (str): What is running, e.g. ``'request 2/4'``.
    """

    priority = 'LOWEST'

    def __init__(self, title):
        self.title, self.bar = title, None

    def _start(self, total):
        if not is_main_process():
            return
        self.bar = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            transient=True)
        if not self.bar.console.is_terminal:
            self.bar = None
            return
        self.bar.start()
        self.task = self.bar.add_task(self.title, total=total)

    def _advance(self):
        if self.bar:
            self.bar.advance(self.task)

    def _stop(self):
        if self.bar:
            self.bar.stop()

    def before_train(self, runner):
        """Start the bar."""
        self._start(runner.max_iters)
        if self.bar:
            self.bar.update(self.task, completed=runner.iter)
        self.begin, self.first_iter = time.time(), runner.iter

    def after_train_iter(self, runner, *args, **kwargs):
        """Move the bar."""
        self._advance()

    def after_train_epoch(self, runner):
        """Print the line of the epoch."""
        if not is_main_process():
            return
        groups = unwrap(runner.model).groups
        done = runner.iter
        each = (time.time() - self.begin) / max(1, done - self.first_iter)
        values = ' '.join(f'{key} {self._mean(runner, key, runner.epoch):.3f}'
                          for key in ('loss', 'retain/cls', 'forget/cls')
                          if f'train/{key}' in runner.message_hub.log_scalars)
        if len(groups):
            values += (f'  zero groups {int(groups.zero_mask().sum())}/'
                       f'{len(groups)}')
        line = (f'{self.title}  epoch {runner.epoch + 1}/{runner.max_epochs}'
                f'  {values}  {each:.2f} s/it  '
                f'eta {(runner.max_iters - done) * each:.0f} s')
        (self.bar.console.print if self.bar else print)(line)

    @staticmethod
    def _mean(runner, key, epoch):
        window = len(runner.train_dataloader)
        return runner.message_hub.get_scalar(f'train/{key}').mean(window)

    def after_train(self, runner):
        """Remove the bar."""
        self._stop()

    def before_test(self, runner):
        """Start the bar."""
        self._start(len(runner.test_dataloader))

    def after_test_iter(self, runner, *args, **kwargs):
        """Move the bar."""
        self._advance()

    def after_test(self, runner):
        """Remove the bar."""
        self._stop()
