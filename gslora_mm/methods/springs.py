"""Springs on weights: what L2, EWC and MAS have in common."""
import torch

from ..utils import ForgetError
from .base import check_numbers
from .random_labels import RandomLabels


class Springs(RandomLabels):
    r"""Wrong labels for what goes, a spring on every weight that trains.

    .. math::
        L = L(x_f, \tilde y) + \lambda_r L(x_r, y) +
        \lambda \sum_t \sum_n \Omega_{t,n} (\theta_n - \theta_{t,n})^2

    A subclass says in :meth:`importance` what :math:`\Omega_t` is, at the
    weights :math:`\theta_t` that request t starts from. The sum over requests
    is kept as one spring, which differs by a constant:
    :math:`\Omega = \sum_t \Omega_t` at
    :math:`\sum_t \Omega_t \theta_t / \Omega`.

    Args:
        penalty (float): :math:`\lambda`.
        retain (float): :math:`\lambda_r`. Defaults to 1 (the published runs);
            0 leaves the springs alone to keep what stays.

    Raises:
        ForgetError: If an argument is out of range, or LoRA is trained.
    """

    needs_prepare = True

    def __init__(self, penalty, retain=1.):
        super().__init__(retain)
        check_numbers(type(self).__name__, dict(penalty=penalty))
        self.penalty = penalty
        self._springs = []

    def check_groups(self, groups):
        """See :meth:`ForgettingMethod.check_groups`."""
        if len(groups):
            raise ForgetError(
                f'{type(self).__name__} remembers which weights matter, and '
                'LoRA begins anew with every request; set '
                "forget.train='all', 'ffn' or 'head'")

    def importance(self, context):
        """How much every weight matters for what stays.

        Args:
            context (RequestContext): The model and its retain images.

        Returns:
            dict[str, Tensor]: By name of the trained parameter, in its shape
            or one number for all of it.
        """
        raise NotImplementedError

    def prepare(self, context):
        """See :meth:`ForgettingMethod.prepare`."""
        params, stored = trained_parameters(context.model), {}
        for name, value in self.importance(context).items():
            start = params[name].detach()
            before = context.previous.get(f'importance.{name}')
            if before is not None:
                before = before.to(value)
                pull = context.previous[f'centre.{name}'].to(start)
                total = value + before
                mean = (value * start + before * pull) / total
                # Where nothing pulls, the centre does not matter.
                start = torch.where(total == 0, start, mean)
                value = total
            stored[f'importance.{name}'] = value
            stored[f'centre.{name}'] = start
        return stored

    def begin(self, model, stored, fresh=True):
        """See :meth:`ForgettingMethod.begin`."""
        self._springs = [(param, stored[f'importance.{name}'],
                          stored[f'centre.{name}'])
                         for name, param in trained_parameters(model).items()]

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = super().losses(forget, retain, groups)
        terms['loss_penalty'] = self.penalty * sum(
            (weight * (param - centre).square()).sum()
            for param, weight, centre in self._springs)
        return terms


def trained_parameters(model):
    """dict[str, Parameter]: What trains, shared parameters once."""
    return {n: p for n, p in model.named_parameters() if p.requires_grad}


def mean_over_images(context, value, size):
    """Mean of something of the gradient of every single retain image.

    Args:
        context (RequestContext): The model and its images.
        value (Callable): Takes images and samples; returns the scalar whose
            gradient is meant.
        size (Callable): What is averaged of a gradient, in its shape.

    Returns:
        dict[str, Tensor]: By name of the trained parameter, in its shape.
    """
    params = trained_parameters(context.model)
    total, count = {k: torch.zeros_like(p) for k, p in params.items()}, 0
    for inputs, samples in context.batches('retain', batch_size=1):
        grads = torch.autograd.grad(
            value(inputs, samples), list(params.values()), allow_unused=True)
        for name, grad in zip(params, grads):
            if grad is not None:
                total[name] += size(grad)
        count += 1
    return {name: value / count for name, value in total.items()}
