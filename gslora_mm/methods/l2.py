"""The same spring on every weight, turned to forgetting."""
from ..registry import METHODS
from .springs import Springs, trained_parameters


@METHODS.register_module()
class L2(Springs):
    r"""Wrong labels for what goes, the same spring on every weight.

    .. math::
        L = L(x_f, \tilde y) + \lambda_r L(x_r, y) +
        \lambda \sum_t \lVert \theta - \theta_t \rVert_2^2

    with a wrong label drawn anew for every image (object) and batch, of all
    classes but its own, and :math:`\theta_t` the weights that request t
    starts from: the baseline that Kirkpatrick et al., PNAS 114 (2017),
    compare EWC with. The sum over requests is one spring at the mean, see
    :class:`Springs`; the published code of GS-LoRA keeps them all.

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``); not LoRA. Stores one number for every trained parameter
    between requests, 4 bytes in single precision.

    Args:
        penalty (float): :math:`\lambda`. Defaults to 0.1.
        retain (float): :math:`\lambda_r`, see :class:`Springs`.

    Raises:
        ForgetError: If an argument is out of range, or LoRA is trained.
    """

    def __init__(self, penalty=.1, retain=1.):
        super().__init__(penalty, retain)

    def importance(self, context):
        """dict[str, Tensor]: 1 for every trained parameter, a scalar."""
        params = trained_parameters(context.model)
        return {name: param.new_ones(()) for name, param in params.items()}
