"""Dark experience replay, turned to forgetting."""
from ..registry import METHODS
from .base import ForgettingMethod, check_numbers
from .distances import square_distance


@METHODS.register_module()
class DER(ForgettingMethod):
    r"""Wrong labels for what goes, the original logits for what stays.

    .. math::
        L = L(x_f, \tilde y) + \lambda \lVert z(x_r) - z_0(x_r) \rVert_2^2 +
        \lambda_{++} L(x_r, y)

    with a wrong label drawn anew for every image (object) and batch, of all
    classes but its own. The square is summed over the classes and averaged
    over images (and queries of a detector), so that the batch size does not
    matter. DER++ is this method with :math:`\lambda_{++} > 0`. Buzzega et
    al., Dark Experience for General Continual Learning, NeurIPS 2020.

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``). Stores nothing between requests; the teacher is the base
    checkpoint, which gives the logits that the paper keeps in a buffer.

    Args:
        match (float): :math:`\lambda`. Defaults to 0.01.
        retain (float): :math:`\lambda_{++}`. Defaults to 0.

    Raises:
        ForgetError: If an argument is out of range.
    """

    relabels = True
    needs_outputs = True
    needs_teacher = ('retain', )
    gap = staticmethod(square_distance)

    def __init__(self, match=0.01, retain=0.):
        check_numbers(type(self).__name__, dict(match=match, retain=retain))
        self.match, self.retain = match, retain
        self.needs_losses = ('forget', 'retain') if retain else ('forget', )

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = {}
        if forget is not None:
            terms['loss_relabelled'] = forget.total()
            terms.update(forget.logged('forget'))
        if retain is not None:
            distance = self.gap(retain.student, retain.teacher)
            terms['loss_match'] = self.match * distance
            if self.retain:
                terms['loss_retain'] = self.retain * retain.total()
                terms.update(retain.logged('retain'))
        return terms
