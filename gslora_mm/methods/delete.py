"""Decoupled distillation to erase."""
from ..registry import METHODS
from .distances import distillation
from .head_distillation import HeadDistillation


@METHODS.register_module()
class DELETE(HeadDistillation):
    r"""What the original model would say if it did not know the classes.

    .. math::
        L = KL(\bar p_0(x_f) \Vert p(x_f)) +
        \lambda_r KL(p_0(x_r) \Vert p(x_r))

    where :math:`\bar p_0` is the original model's softmax with the logits of
    all classes forgotten so far at :math:`-\infty`: nothing is left for what
    goes, and the rest keeps its proportions. Zhou et al., Decoupled
    Distillation to Erase, CVPR 2025. Published with :math:`\lambda_r = 0`:
    the images of what goes are enough, and no other is loaded.

    Where every class has a sigmoid of its own, as in detectors with a focal
    loss, the targets are the original model's scores with those of the
    forgotten classes at 0, query by query: what else a query sees stays. The
    published code masks with :math:`-10^{10}`, here the share is exactly 0.
    It knows one request; here every request has the original model as
    teacher, so that errors do not add up, and masks the classes of those
    before it as well.

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``). Stores nothing between requests; the teacher is the base
    checkpoint.

    Args:
        retain (float): :math:`\lambda_r`, not in the paper. Defaults to 0.

    Raises:
        ForgetError: If an argument is out of range.
    """

    def __init__(self, retain=0.):
        super().__init__(retain)

    def keep(self, retain):
        """See :meth:`HeadDistillation.keep`."""
        return distillation(retain.student, retain.teacher)
