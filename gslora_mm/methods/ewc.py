"""Elastic weight consolidation, turned to forgetting."""
import torch

from ..registry import METHODS
from ..utils import ForgetError
from .base import ForgettingMethod, check_numbers


@METHODS.register_module()
class EWC(ForgettingMethod):
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

    The sum over requests is kept as one spring, which differs by a constant:
    :math:`F = \sum_t F_t` at :math:`\sum_t F_t \theta_t / F`.

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``); not LoRA, whose parameters begin anew with every request.
    Stores two numbers for every trained parameter between requests, 8 bytes
    in single precision.

    Args:
        penalty (float): :math:`\lambda`. Defaults to 10.
        retain (float): Weight of the loss on the retain stream. Defaults to
            1 (the published runs); 0 leaves the springs alone to keep what
            stays.

    Raises:
        ForgetError: If an argument is out of range, or LoRA is trained.
    """

    relabels = True
    needs_prepare = True

    def __init__(self, penalty=10., retain=1.):
        check_numbers(
            type(self).__name__, dict(penalty=penalty, retain=retain))
        self.penalty, self.retain = penalty, retain
        self._springs = []

    def check_groups(self, groups):
        """See :meth:`ForgettingMethod.check_groups`."""
        if len(groups):
            raise ForgetError(
                f'{type(self).__name__} remembers which weights matter, and '
                'LoRA begins anew with every request; set '
                "forget.train='all', 'ffn' or 'head'")

    def prepare(self, context):
        """See :meth:`ForgettingMethod.prepare`."""
        fisher = self.importance(context)
        params = _trained(context.model)
        stored = {}
        for name, value in fisher.items():
            start = params[name].detach()
            before = context.previous.get(f'importance.{name}')
            if before is not None:
                before = before.to(value)
                pull = context.previous[f'centre.{name}'].to(value)
                total = value + before
                mean = (value * start + before * pull) / total
                # Where nothing pulls, the centre does not matter.
                start = torch.where(total == 0, start, mean)
                value = total
            stored[f'importance.{name}'] = value
            stored[f'centre.{name}'] = start
        return stored

    @staticmethod
    def importance(context):
        """Diagonal of the empirical Fisher information.

        Args:
            context (RequestContext): The model and its retain images.

        Returns:
            dict[str, Tensor]: By name of the trained parameter, in its shape.
        """
        params = _trained(context.model)
        total, count = {k: torch.zeros_like(p) for k, p in params.items()}, 0
        for inputs, samples in context.batches('retain', batch_size=1):
            loss = context.model.plain_loss(inputs, samples)
            grads = torch.autograd.grad(
                loss, list(params.values()), allow_unused=True)
            for name, grad in zip(params, grads):
                if grad is not None:
                    total[name] += grad.square()
            count += 1
        return {name: value / count for name, value in total.items()}

    def begin(self, model, stored, fresh=True):
        """See :meth:`ForgettingMethod.begin`."""
        self._springs = [(param, stored[f'importance.{name}'],
                          stored[f'centre.{name}'])
                         for name, param in _trained(model).items()]

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = {}
        if forget is not None:
            terms['loss_relabelled'] = forget.total()
            terms.update(forget.logged('forget'))
        if retain is not None:
            terms['loss_retain'] = self.retain * retain.total()
            terms.update(retain.logged('retain'))
        terms['loss_penalty'] = self.penalty * sum(
            (weight * (param - centre).square()).sum()
            for param, weight, centre in self._springs)
        return terms


def _trained(model):
    """dict[str, Parameter]: What trains, shared parameters once."""
    return {n: p for n, p in model.named_parameters() if p.requires_grad}
