"""Wrong labels for what goes."""
from ..registry import METHODS
from .base import ForgettingMethod, check_numbers


@METHODS.register_module()
class RandomLabels(ForgettingMethod):
    r"""Wrong labels for what goes, the true ones for what stays.

    .. math:: L = L(x_f, \tilde y) + \lambda_r L(x_r, y)

    with a wrong label drawn anew for every image (object) and batch, of all
    classes but its own: Golatkar et al., Eternal Sunshine of the Spotless
    Net, CVPR 2020. The boxes of a detector stay where they are.
    (The published code of GS-LoRA draws labels once, from the first few
    classes only, and gives all objects of a detector one unused label.)

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``). Stores nothing between requests.

    Args:
        retain (float): :math:`\lambda_r`. Defaults to 1; with 0 the retain
            stream is not loaded.

    Raises:
        ForgetError: If an argument is out of range.
    """

    relabels = True

    def __init__(self, retain=1.):
        check_numbers(type(self).__name__, dict(retain=retain))
        self.retain = retain

    def phase(self, epoch):
        """See :meth:`ForgettingMethod.phase`."""
        return ('forget', 'retain') if self.retain else ('forget', )

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = {}
        if forget is not None:
            terms['loss_relabelled'] = forget.total()
            terms.update(forget.logged('forget'))
        if retain is not None:
            terms['loss_retain'] = self.retain * retain.total()
            terms.update(retain.logged('retain'))
        return terms
