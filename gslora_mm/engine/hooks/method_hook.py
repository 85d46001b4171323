"""Epochs and optimizer steps, passed on to the forgetting method."""
import time

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from ...models.stream_loss import STREAMS
from ...registry import HOOKS
from ...utils import ForgetError

_SPENT = 'gslora_seconds'


def unwrap(model):
    """The model inside a distributed wrapper."""
    return model.module if is_model_wrapper(model) else model


def lora_lr(optim_wrapper, groups):
    """The learning rate of the LoRA parameters.

    With a ``paramwise_cfg`` an optimizer has a parameter group for each
    parameter that trains, and the first need not be of LoRA.

    Args:
        optim_wrapper (OptimWrapper): Optimizer of the model.
        groups (LoRAGroups): The LoRA groups of the model.

    Returns:
        float: Learning rate of the coming step, or of the step just made.

    Raises:
        ForgetError: If they have several, or the optimizer has none of them.
    """
    lora = {id(p) for i in range(len(groups)) for p in groups.parameters(i)}
    rates = {
        group['lr']
        for group in optim_wrapper.optimizer.param_groups
        if not lora.isdisjoint(map(id, group['params']))
    }
    if not rates:
        raise ForgetError('the optimizer has no LoRA parameter; let '
                          'optim_wrapper.constructor hand it all of those '
                          'that train')
    if len(rates) > 1:
        raise ForgetError(
            'the LoRA parameters have several learning rates '
            f'({", ".join(f"{rate:g}" for rate in sorted(rates))}), and the '
            'group penalty needs one; remove what sets them apart from '
            'optim_wrapper.paramwise_cfg (lr_mult of blocks with LoRA, '
            'layer-wise decay)')
    return rates.pop()


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

    def before_save_checkpoint(self, runner, checkpoint):
        """Note the time in a checkpoint in the middle of an epoch."""
        checkpoint[_SPENT] = time.time() - self.started

    def after_load_checkpoint(self, runner, checkpoint):
        """Set the clock, where an epoch goes on in its middle."""
        if 'stopped' in checkpoint.get('meta', {}):
            self.started = time.time() - checkpoint.get(_SPENT, 0.)

    def before_train_epoch(self, runner):
        """Tell the method which epoch starts, and draw from its streams.

        Raises:
            ForgetError: If the method names no stream that there is.
        """
        model = unwrap(runner.model)
        streams = tuple(model.method.phase(runner.epoch))
        if not streams or not set(streams) <= set(STREAMS):
            raise ForgetError(
                f'{type(model.method).__name__}.phase({runner.epoch}) names '
                f'{streams}; it must name {" or ".join(STREAMS)} or both')
        runner.train_dataloader.sampler.streams = streams
        model.method.start_epoch(runner.epoch, model.groups)

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None):
        """Let the method act on the weights that the optimizer left."""
        # False where gradients are only accumulated.
        if runner.optim_wrapper.should_update():
            model = unwrap(runner.model)
            asks = model.method.uses_lr and len(model.groups)
            lr = lora_lr(runner.optim_wrapper, model.groups) if asks else None
            model.method.after_step(model.groups, lr)

    def after_train_epoch(self, runner):
        """Record the group norms."""
        groups = unwrap(runner.model).groups
        if len(groups):
            history = runner.message_hub.runtime_info.get('group_history', [])
            norms = groups.norms().detach().tolist()
            runner.message_hub.update_info('group_history', [*history, norms])
        runner.message_hub.update_info('seconds', time.time() - self.started)
