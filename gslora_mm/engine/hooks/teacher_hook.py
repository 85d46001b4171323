"""The teacher's weights."""
from mmengine.hooks import Hook

from ...lora import fingerprint
from ...models.teacher import check_agreement
from ...registry import HOOKS
from ...utils import ForgetError
from ..checkpoints import load_into, load_plain_state
from .method_hook import unwrap


@HOOKS.register_module()
class TeacherHook(Hook):
    """Gives the teacher its weights, and checks what it says.

    Args:
        base (str): The checkpoint that the run, or the request, started from.
        base_fingerprint (str): Its fingerprint.
        first (bool): Whether this request starts from these very weights: the
            model must say what its teacher says.
    """

    priority = 'VERY_LOW'

    def __init__(self, base, base_fingerprint, first):
        self.base, self.base_print = base, base_fingerprint
        self.first = first

    def before_train(self, runner):
        """Load the weights.

        Raises:
            ForgetError: If they are not those that were started from.
        """
        state, _ = load_plain_state(self.base)
        unwrap(runner.model).clear_teacher_cache()
        teacher = unwrap(runner.model).teacher
        load_into(teacher, state, self.base)
        if fingerprint(teacher.state_dict()) != self.base_print:
            raise ForgetError(
                f'{self.base} is not the checkpoint that the run started '
                'from, and the teacher must be; restore it')

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """Compare the outputs on the first batch.

        Raises:
            ForgetError: If teacher and student differ.
        """
        model = unwrap(runner.model)
        # Weights that are drawn anew say nothing of the loaded ones.
        if self.first and runner.iter == 0 and not model.method.starts_apart:
            batch = model.data_preprocessor(data_batch, False)
            check_agreement(model, batch['inputs'], batch['data_samples'])
