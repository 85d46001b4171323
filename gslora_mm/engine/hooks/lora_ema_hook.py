"""An exponential moving average of the LoRA weights."""
import torch
from mmengine.hooks import Hook
from mmengine.model import ExponentialMovingAverage
from torch import nn

from ...lora import lora_layers
from ...registry import HOOKS
from ...utils import ForgetError
from .method_hook import unwrap

UNITS = ('epoch', 'iter')
_STATE = 'lora_ema'


@HOOKS.register_module()
class LoRAEMAHook(Hook):
    """Averages A and B while they train; the average is the result.

    From epoch ``start`` on, ``average = decay * average + (1 - decay) *
    weights`` after every epoch (or optimizer step), beginning with a copy.
    Training goes on with the raw weights. When it ends, the average takes
    their place in the model, so that whatever is exported, merged, measured
    and handed to the next request is the average. A matrix that ends as zero
    in every entry stays exactly zero, whatever it was before: the weights of
    a zero group keep every bit.

    The average is that of mmengine's ``ExponentialMovingAverage``, of the
    LoRA parameters alone. mmengine's ``EMAHook`` copies the whole model,
    frozen base included, averages after iterations only (also those that
    accumulate gradients), and leaves the raw weights in the model when
    training ends.

    Source: ``--average_weight`` of the published GS-LoRA++ code, after each
    epoch with decay 0.9 from epoch 30 or 50 of 100. There the average is
    measured, but neither saved nor used by the next request.

    Args:
        start (int): First epoch, from 0, whose weights count. With the last
            epoch and ``by='epoch'`` the average is the raw weights.
        decay (float): Share of the old average in the new one, in (0, 1).
            Defaults to 0.9.
        by (str): ``'epoch'`` or ``'iter'``. Defaults to ``'epoch'``.

    Raises:
        ForgetError: If training ends before epoch ``start``, or a training
            checkpoint holds no average.
    """

    # After the method's proximal step, before the checkpoint is saved.
    priority = 'BELOW_NORMAL'

    def __init__(self, start, decay=0.9, by='epoch'):
        self.start, self.decay, self.by = start, decay, by

    def before_run(self, runner):
        """Set up the average, before a checkpoint is resumed."""
        self.lora = nn.ParameterList(
            param for layer in lora_layers(unwrap(runner.model)).values()
            for param in (layer.lora_A, layer.lora_B))
        self.average = ExponentialMovingAverage(self.lora, 1 - self.decay)

    def before_train(self, runner):
        """Refuse a start that never comes.

        Raises:
            ForgetError: If ``start`` is not below the number of epochs.
        """
        check_start('ema.start', self.start, runner.max_epochs)

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None):
        """Average after an optimizer step, ``by='iter'``."""
        if self.by == 'iter' and runner.optim_wrapper.should_update():
            self._update(runner)

    def after_train_epoch(self, runner):
        """Average after an epoch, ``by='epoch'``."""
        if self.by == 'epoch':
            self._update(runner)

    def _update(self, runner):
        if runner.epoch >= self.start:
            self.average.update_parameters(self.lora)

    def before_save_checkpoint(self, runner, checkpoint):
        """Add the average to a training checkpoint."""
        checkpoint[_STATE] = {
            key: value.cpu()
            for key, value in self.average.state_dict().items()
        }

    def after_load_checkpoint(self, runner, checkpoint):
        """Take the average from a training checkpoint.

        Raises:
            ForgetError: If it holds none, or one of another model.
        """
        if not runner._resume:
            return
        try:
            self.average.load_state_dict(checkpoint[_STATE])
        except (KeyError, RuntimeError) as err:
            raise ForgetError(
                'the training checkpoint has no average of these LoRA '
                'weights; remove epoch_*.pth of the request, then continue '
                'with --resume') from err

    @torch.no_grad()
    def after_train(self, runner):
        """Put the average in the place of the raw weights."""
        for raw, mean in zip(self.lora, self.average.module):
            if raw.any():
                raw.copy_(mean)


def check_start(key, start, max_epochs):
    """Check that an average begins before training ends.

    Args:
        key (str): Where ``start`` stands, for the message.
        start (int): First epoch that counts, from 0.
        max_epochs (int): Epochs of the training.

    Raises:
        ForgetError: If it does not.
    """
    if start >= max_epochs:
        raise ForgetError(
            f'{key} is {start}, but training ends after {max_epochs} epochs, '
            'counted from 0: nothing would be averaged; lower it to '
            f'{max_epochs - 1} or less, or remove the section')
