"""Function distance regularisation, turned to forgetting."""
from ..registry import METHODS
from .der import DER
from .distances import distance


@METHODS.register_module()
class FDR(DER):
    r"""Wrong labels for what goes, outputs that stay for what stays.

    .. math::
        L = L(x_f, \tilde y) + \lambda \frac1N \sum_i
        \lVert z(x_{r,i}) - z_0(x_{r,i}) \rVert_2 + \lambda_{++} L(x_r, y)

    with a wrong label drawn anew for every image (object) and batch, of all
    classes but its own. The norm is that of each image (query of a detector)
    over the classes, not squared: Benjamin et al., Measuring and Regularizing
    Networks in Function Space, ICLR 2019. They compare probabilities; the
    logits are those of the GS-LoRA papers. (Their code for detectors takes
    the norm over the queries, and its teacher is a random model.)

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``). Stores nothing between requests; the teacher is the base
    checkpoint, which gives the logits that the paper keeps in a buffer.

    Args:
        match (float): :math:`\lambda`. Defaults to 50.
        retain (float): :math:`\lambda_{++}`, not in the paper. Defaults to 0.

    Raises:
        ForgetError: If an argument is out of range.
    """

    gap = staticmethod(distance)

    def __init__(self, match=50., retain=0.):
        super().__init__(match, retain)
