"""Gradient ascent on what goes."""
from ..registry import METHODS
from ..utils import ForgetError
from .base import ForgettingMethod, check_numbers


@METHODS.register_module()
class GradientAscent(ForgettingMethod):
    r"""The loss of what goes is raised, without bound.

    .. math:: L = \lambda_r L(x_r, y) - \lambda_f L(x_f, y)

    with :math:`\lambda_r = 0` NegGrad, which does not load the retain stream;
    above 0 NegGrad+, e.g. 0.95 and 0.05. Golatkar et al., Eternal Sunshine of
    the Spotless Net, CVPR 2020; Kurmanji et al., Towards Unbounded Machine
    Unlearning, NeurIPS 2023. Of a detector the whole loss is raised, that of
    the boxes as well.

    Nothing ends the ascent but the schedule: few steps at a low learning
    rate, or the loss guard stops the run.

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``). Stores nothing between requests.

    Args:
        forget (float): :math:`\lambda_f`, above 0. Defaults to 1.
        retain (float): :math:`\lambda_r`. Defaults to 0.

    Raises:
        ForgetError: If an argument is out of range.
    """

    lower = ('the learning rate, train_cfg.max_epochs or '
             'forget.method.forget, or raise forget.method.retain')

    def __init__(self, forget=1., retain=0.):
        check_numbers(type(self).__name__, dict(forget=forget, retain=retain))
        if not forget:
            raise ForgetError('forget of GradientAscent must be above 0')
        self.forget, self.retain = forget, retain

    def phase(self, epoch):
        """See :meth:`ForgettingMethod.phase`."""
        return ('forget', 'retain') if self.retain else ('forget', )

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = {}
        if forget is not None:
            terms['loss_forget'] = -self.forget * forget.total()
            terms.update(forget.logged('forget'))
        if retain is not None:
            terms['loss_retain'] = self.retain * retain.total()
            terms.update(retain.logged('retain'))
        return terms
