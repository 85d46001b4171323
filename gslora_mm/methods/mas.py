"""Memory aware synapses, turned to forgetting."""
from ..registry import METHODS
from .springs import Springs, mean_over_images


@METHODS.register_module()
class MAS(Springs):
    r"""Wrong labels for what goes, a spring on weights the outputs hang on.

    .. math::
        L = L(x_f, \tilde y) + \lambda_r L(x_r, y) +
        \lambda \sum_t \sum_n \Omega_{t,n} (\theta_n - \theta_{t,n})^2,
        \quad
        \Omega_t = \frac1N \sum_i \lvert \nabla \lVert z(x_i) \rVert_2^2
        \rvert

    with a wrong label drawn anew for every image (object) and batch, of all
    classes but its own. Before request t the importance is computed one image
    at a time, without labels, on the retain images that the request may use,
    of the logits z of the whole head; of a detector those of the last layer,
    the square averaged over the queries. Aljundi et al., Memory Aware
    Synapses, ECCV 2018. (The published code of GS-LoRA
    takes the absolute value of gradients of batch means, averages the square
    over the classes, has the margin in its logits, and uses all training
    images from the second request on.) The sum over requests is one spring,
    see :class:`Springs`.

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``); not LoRA. Stores two numbers for every trained parameter
    between requests, 8 bytes in single precision.

    Args:
        penalty (float): :math:`\lambda`. Defaults to 0.005.
        retain (float): :math:`\lambda_r`, see :class:`Springs`.

    Raises:
        ForgetError: If an argument is out of range, or LoRA is trained.
    """

    def __init__(self, penalty=.005, retain=1.):
        super().__init__(penalty, retain)

    def importance(self, context):
        """See :meth:`Springs.importance`."""

        def size_of_outputs(inputs, samples):
            logits = context.model.outputs(inputs, samples).logits
            return logits.float().square().sum(-1).mean()

        return mean_over_images(context, size_of_outputs, abs)
