"""Base weights: loaded whole, and stored once as far as they are frozen."""
from mmengine.hooks import Hook

from ...lora import fingerprint, lora_layers
from ...models.extras import plain_part
from ...registry import HOOKS
from ...utils import ForgetError
from ..checkpoints import load_into, load_plain_state
from .method_hook import unwrap


@HOOKS.register_module()
class BaseWeightsHook(Hook):
    """Keeps base weights out of training checkpoints, and checks them.

    A training checkpoint holds what trains (LoRA, or parameters of the model
    itself), optimizer and schedules only; the frozen rest is read from the
    base checkpoint, at the start and on resume. mmengine loads checkpoints
    non-strictly, so before training it is checked that every base weight
    arrived and that LoRA starts at zero.

    Args:
        base (str): The plain checkpoint the request starts from.
        base_fingerprint (str): Its fingerprint
            (:func:`gslora_mm.lora.fingerprint`).
    """

    priority = 'VERY_LOW'

    def __init__(self, base, base_fingerprint):
        self.base, self.base_fingerprint = base, base_fingerprint
        self.resumed = False

    def before_save_checkpoint(self, runner, checkpoint):
        """Drop everything but what trains from the state dict."""
        trained = set(unwrap(runner.model).trained_keys())
        checkpoint['state_dict'] = {
            k: v
            for k, v in checkpoint['state_dict'].items() if k in trained
        }

    def after_load_checkpoint(self, runner, checkpoint):
        """Put the base weights back into a training checkpoint."""
        state = checkpoint.get('state_dict', {})
        if state and set(state) == set(unwrap(runner.model).trained_keys()):
            self.resumed = True
            base, _ = load_plain_state(self.base)
            checkpoint['state_dict'] = {**base, **state}

    def before_train(self, runner):
        """Load the base unless resumed; check it and the start of LoRA.

        Raises:
            ForgetError: If base weights are not those of the checkpoint, or
                a run goes on from a checkpoint that holds other weights than
                those that train.
        """
        model = unwrap(runner.model)
        if not self.resumed:
            if runner.iter:
                raise ForgetError(
                    f'the training checkpoint in {runner.work_dir} holds '
                    'other weights than train now; it is of another version: '
                    'remove the folder, and the request starts again')
            state, _ = load_plain_state(self.base)
            load_into(model, state, self.base)
            self._check_start(model)
        found = plain_part(model.state_dict())
        if self.resumed and not len(model.groups):
            # What trains has moved since; the rest has not.
            state, _ = load_plain_state(self.base)
            found.update(
                {k: state[k]
                 for k in model.trained_keys() if k in found})
        if fingerprint(found) != self.base_fingerprint:
            raise ForgetError(
                f'the weights in the model are not those of {self.base}; '
                'restore the checkpoint the run was started with')

    @staticmethod
    def _check_start(model):
        moved = [
            name for name, layer in lora_layers(model).items()
            if bool(layer.lora_B.any())
        ]
        if moved:
            raise ForgetError(f'LoRA of {moved[0]} does not start at zero; '
                              'nothing may initialise it again')
