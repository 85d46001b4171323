"""Learning without forgetting, turned to forgetting."""
from ..registry import METHODS
from ..utils import ForgetError
from .base import check_numbers
from .distances import distillation
from .random_labels import RandomLabels


@METHODS.register_module()
class LwF(RandomLabels):
    r"""Wrong labels for what goes, distillation for what stays.

    .. math::
        L = L(x_f, \tilde y) + \lambda_{kd} T^2 KL(p_0(x_r) \Vert p(x_r)) +
        \lambda_r L(x_r, y)

    with a wrong label drawn anew for every image (object) and batch, of all
    classes but its own, and the original model as teacher in every request:
    Li and Hoiem, Learning without Forgetting, arXiv 1606.09282, as the
    GS-LoRA papers compare it. In their code the distillation is always 0.

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``). Stores nothing between requests; the teacher is the base
    checkpoint.

    Args:
        distill (float): Weight of the distillation. Defaults to 0.5.
        retain (float): Weight of the loss on the retain stream. Defaults to
            10.
        temperature (float): T. Defaults to 2.

    Raises:
        ForgetError: If an argument is out of range.
    """

    needs_outputs = True
    needs_teacher = ('retain', )

    def __init__(self, distill=0.5, retain=10., temperature=2.):
        super().__init__(retain)
        check_numbers(
            type(self).__name__,
            dict(distill=distill, temperature=temperature))
        if not temperature:
            raise ForgetError('temperature of LwF must be above 0')
        self.distill, self.temperature = distill, temperature

    def phase(self, epoch):
        """See :meth:`ForgettingMethod.phase`."""
        return 'forget', 'retain'

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = super().losses(forget, retain, groups)
        if retain is not None:
            terms['loss_distill'] = self.distill * distillation(
                retain.student, retain.teacher, self.temperature)
        return terms
