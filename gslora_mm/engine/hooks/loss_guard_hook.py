"""Stops a run whose loss explodes."""
import math

import torch
from mmengine.hooks import Hook

from ...registry import HOOKS
from ...utils import DivergedError
from .method_hook import unwrap


@HOOKS.register_module()
class LossGuardHook(Hook):
    """Stops at the first loss term that is not finite or far too large.

    The checkpoint of the last finished epoch stays: it is the last good
    state, from which ``--resume`` goes on.

    Args:
        request (str): Name of the request, for the message.
        limit (float): Largest accepted absolute value of a term.
    """

    priority = 'VERY_HIGH'

    def __init__(self, request, limit=1e4):
        self.request, self.limit = request, limit

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None):
        """Look at every term of the iteration.

        Raises:
            DivergedError: Naming request, iteration and term.
        """
        # The sum comes last: it shows less than the term at fault.
        terms = (outputs or {}).items()
        for term, value in sorted(terms, key=lambda item: item[0] == 'loss'):
            value = float(torch.as_tensor(value).detach())
            if not math.isfinite(value) or abs(value) > self.limit:
                raise DivergedError(
                    f'{self.request}, iteration {runner.iter + 1}: {term} is '
                    f'{value:g}, training stopped; the state after epoch '
                    f'{runner.epoch} is kept; lower '
                    f'{unwrap(runner.model).method.lower}, then start into a '
                    'new --work-dir')

    def after_train_epoch(self, runner):
        """Look at the weights, before they are saved as a good state.

        The last step of an epoch shows in no loss of it.

        Raises:
            DivergedError: If a weight that trains is not finite.
        """
        model = unwrap(runner.model)
        norms, what = model.groups.norms(), 'LoRA weights'
        if not len(model.groups):
            norms, what = _norms(model), 'weights'
        if not torch.isfinite(norms).all():
            raise DivergedError(
                f'{self.request}, iteration {runner.iter}: {what} are '
                f'not finite, training stopped; the state after epoch '
                f'{runner.epoch} is kept; lower {model.method.lower}, then '
                'start into a new --work-dir')


@torch.no_grad()
def _norms(model):
    """Norm of every parameter that trains, shape (n, )."""
    return torch.stack(
        [p.norm() for p in model.parameters() if p.requires_grad])
