"""Epochs and optimizer steps, passed on to the forgetting method."""
import time

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from ...registry import HOOKS


def unwrap(model):
    """The model inside a distributed wrapper."""
    return model.module if is_model_wrapper(model) else model


@HOOKS.register_module()
class MethodHook(Hook):
    """Calls the forgetting method of the model, and records group norms.

    The norm of every group after each epoch is kept in the message hub under
    ``group_history``, which is part of every checkpoint: a resumed run has
    the whole history, and ``seconds`` of training beside it counts those of
    the processes before.
    """

    priority = 'NORMAL'

    def before_train(self, runner):
        """Start the clock."""
        spent = runner.message_hub.runtime_info.get('seconds', 0.)
        self.started = time.time() - spent

    def before_train_epoch(self, runner):
        """Tell the method which epoch starts."""
        model = unwrap(runner.model)
        model.method.start_epoch(runner.epoch, model.groups)

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        """Let the method act on the weights that the optimizer left."""
        model = unwrap(runner.model)
        lr = runner.optim_wrapper.get_lr()['lr'][0]
        model.method.after_step(model.groups, lr)

    def after_train_epoch(self, runner):
        """Record the group norms."""
        history = runner.message_hub.runtime_info.get('group_history', [])
        norms = unwrap(runner.model).groups.norms().detach().tolist()
        runner.message_hub.update_info('group_history',
                                       [*history, norms])
        runner.message_hub.update_info('seconds', time.time() - self.started)
