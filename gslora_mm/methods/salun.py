"""Saliency unlearning."""
import torch

from ..registry import METHODS
from ..utils import ForgetError
from .random_labels import RandomLabels
from .springs import trained_parameters


@METHODS.register_module()
class SalUn(RandomLabels):
    r"""Wrong labels, learned by the weights that matter for what goes.

    .. math::
        L = L(x_f, \tilde y) + \lambda_r L(x_r, y), \quad
        \theta = \theta_0 + m \odot \Delta\theta, \quad
        m = 1[\lvert \textstyle\sum_i \nabla L(x_{f,i}, y_i) \rvert \ge
        \gamma]

    with a wrong label drawn anew for every image (object) and batch, of all
    classes but its own. The gradient is that of the forget images with their
    true labels, before the first step of the request; :math:`\gamma` is its
    median over all trained parameters, or what another ``share`` of them
    reaches. A weight without gradient never is salient. Fan et al., SalUn,
    ICLR 2024.

    Weights outside the mask keep every bit. Masked gradients alone do not do
    that, as in the published code: momentum and weight decay of the optimizer
    move them on. (There the two streams also follow each other within an
    epoch; here each batch has both.)

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``). Stores the mask of the request, one byte for every trained
    parameter; the next one makes its own.

    Args:
        share (float): Share of the parameters in the mask, above 0 and at
            most 1. Defaults to 0.5.
        retain (float): :math:`\lambda_r`. Defaults to 1.

    Raises:
        ForgetError: If an argument is out of range.
    """

    needs_prepare = True

    def __init__(self, share=.5, retain=1.):
        super().__init__(retain)
        if isinstance(
                share,
                bool) or not isinstance(share,
                                        (int, float)) or not 0 < share <= 1:
            raise ForgetError(
                f'share of SalUn must be above 0 and at most 1, not {share!r}')
        self.share, self._masked = share, []

    def prepare(self, context):
        """See :meth:`ForgettingMethod.prepare`."""
        params = trained_parameters(context.model)
        total = {name: torch.zeros_like(p) for name, p in params.items()}
        for inputs, samples in context.batches('forget'):
            loss = len(samples) * context.model.plain_loss(inputs, samples)
            grads = torch.autograd.grad(
                loss, list(params.values()), allow_unused=True)
            for name, grad in zip(params, grads):
                if grad is not None:
                    total[name] += grad
        masks = largest(list(total.values()), self.share)
        return {f'mask.{name}': mask for name, mask in zip(total, masks)}

    def begin(self, model, stored, fresh=True):
        """See :meth:`ForgettingMethod.begin`."""
        self._masked = []
        for name, param in trained_parameters(model).items():
            mask = stored[f'mask.{name}']
            # Outside the mask a resumed model still has its first weights.
            self._masked.append((param, mask, param.detach().clone()))
            # The norm that gradients are clipped to is that of the mask.
            param.register_hook(mask.mul)

    @torch.no_grad()
    def after_step(self, groups, lr):
        """See :meth:`ForgettingMethod.after_step`."""
        for param, mask, start in self._masked:
            param.copy_(torch.where(mask, param, start))


def largest(gradients, share):
    """Masks of the entries that are largest over all tensors.

    Args:
        gradients (list[Tensor]): Of any shapes.
        share (float): Of all entries, in (0, 1].

    Returns:
        list[Tensor]: bool, in these shapes. Entries of 0 are in no mask; of
        those as large as the smallest in it, all are.
    """
    sizes = torch.cat([g.abs().flatten() for g in gradients])
    rank = max(1, round(share * len(sizes)))
    # kthvalue counts from the smallest.
    bound = sizes.kthvalue(len(sizes) - rank + 1).values
    return [(g.abs() >= bound) & (g != 0) for g in gradients]
