"""Elastic weight consolidation, turned to forgetting."""
import torch

from ..registry import METHODS
from .springs import Springs, mean_over_images


@METHODS.register_module()
class EWC(Springs):
    r"""Wrong labels for what goes, a spring on every weight that matters.

    .. math::
        L = L(x_f, \tilde y) + L(x_r, y) +
        \lambda \sum_t \sum_n F_{t,n} (\theta_n - \theta_{t,n})^2

    with a wrong label drawn anew for every image (object) and batch, of all
    classes but its own. Before request t the diagonal of the empirical
    Fisher information, :math:`F_t = \frac1N \sum_i (\nabla L(x_i, y_i))^2`,
    is computed one image at a time on the retain images that the request may
    use, at the weights :math:`\theta_t` it starts from. Kirkpatrick et al.,
    Overcoming catastrophic forgetting, PNAS 114 (2017). (The published code
    of GS-LoRA squares the gradient of batch means, and uses all training
    images from the second request on.)

    The sum over requests is kept as one spring, see :class:`Springs`.

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``); not LoRA, whose parameters begin anew with every request.
    Stores two numbers for every trained parameter between requests, 8 bytes
    in single precision.

    Args:
        penalty (float): :math:`\lambda`. Defaults to 10.
        retain (float): Weight of the loss on the retain stream, see
            :class:`Springs`. Defaults to 1.

    Raises:
        ForgetError: If an argument is out of range, or LoRA is trained.
    """

    def __init__(self, penalty=10., retain=1.):
        super().__init__(penalty, retain)

    def importance(self, context):
        """Diagonal of the empirical Fisher information.

        Args:
            context (RequestContext): The model and its retain images.

        Returns:
            dict[str, Tensor]: By name of the trained parameter, in its shape.
        """
        return mean_over_images(context, context.model.plain_loss,
                                torch.square)
