"""An end in good order when a signal asks for it."""
import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook

from ...registry import HOOKS
from ...utils import Stopped
from ...utils.stopping import defer, stop_requested
from ..stopped_state import save_stopped


@HOOKS.register_module()
class StopHook(Hook):
    """Stops after the iteration in which SIGTERM or Ctrl-C came.

    Register it last: of an iteration everything is done by then. All
    processes stop after the same one.

    Args:
        save (bool): Whether the training loop can go on in the middle of an
            epoch; if not, the epoch is repeated. Defaults to True.
    """

    priority = 'LOWEST'

    def __init__(self, save=True):
        self.save = save

    def before_train_epoch(self, runner):
        """From here on, a signal waits for the end of an iteration."""
        defer()

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None):
        """Save and stop, if asked to.

        Raises:
            Stopped: If a signal came.
        """
        # Gradients that are only accumulated would be lost.
        if not runner.optim_wrapper.should_update():
            return
        number = _asked_anywhere()
        if not number:
            return
        if self.save:
            save_stopped(runner, batch_idx + 1)
        raise Stopped(number)

    def after_train(self, runner):
        """Stop before anything else begins.

        Raises:
            Stopped: If a signal came since the last iteration; everything
                is saved.
        """
        defer(False)
        number = _asked_anywhere()
        if number:
            raise Stopped(number)


def _asked_anywhere():
    """int: The signal that any of the processes got, 0 if none did."""
    number = stop_requested() or 0
    if get_world_size() == 1:
        return number
    seen = torch.tensor(number, device=get_device())
    all_reduce(seen, 'max')
    return int(seen)
