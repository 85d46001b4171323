"""The group penalty of GS-LoRA, for every method that wants it."""
import math

import torch
from mmengine.dist import get_world_size

from ..utils import ForgetError
from .base import ForgettingMethod, check_numbers

MODES = ('proximal', 'subgradient')


class GroupSparsity(ForgettingMethod):
    r"""A method with :math:`\alpha \sum_g \lVert\theta_g\rVert_2` in its loss.

    The penalty over the LoRA groups enters in one of two ways. ``proximal``
    solves it exactly: after each optimizer step every group is
    soft-thresholded by ``lr * alpha``, so unselected groups become exactly
    zero. Layers whose A and B are zero at the start of an epoch stay so and
    are not computed any more. ``subgradient`` adds the penalty to the loss,
    as the published code does; groups get small, never zero.

    Args:
        alpha (float): Weight of the penalty; 0 for none.
        sparsity_start (int): Epochs with alpha 0 before it is switched on.
        sparsity_end (int, optional): Epoch from which the penalty is off
            again; groups that are zero by then stay zero (``proximal``).
        mode (str): ``'proximal'`` or ``'subgradient'``.

    Raises:
        ForgetError: If an argument is out of range.
    """

    def __init__(self, alpha, sparsity_start, sparsity_end, mode):
        owner = type(self).__name__
        check_numbers(
            owner,
            dict(
                alpha=alpha,
                sparsity_start=sparsity_start,
                sparsity_end=sparsity_end),
            optional=('sparsity_end', ))
        if mode not in MODES:
            raise ForgetError(f'mode of {owner} must be one of '
                              f'{", ".join(MODES)}, not {mode!r}')
        self.alpha, self.mode = alpha, mode
        self.sparsity_start = sparsity_start
        self.uses_lr = mode == 'proximal'
        self.sparsity_end = math.inf if sparsity_end is None else sparsity_end
        if self.sparsity_end <= sparsity_start:
            raise ForgetError(
                f'sparsity_end={sparsity_end} of {owner} must come after '
                f'sparsity_start={sparsity_start}')
        self.sparsity_on, self.sparsity_over = sparsity_start == 0, False

    def check_groups(self, groups):
        """See :meth:`ForgettingMethod.check_groups`."""
        if self.alpha and not len(groups):
            raise ForgetError(
                f'{type(self).__name__} with alpha={self.alpha:g} penalises '
                'groups of LoRA, and there is no LoRA; set '
                "forget.method.alpha=0, or forget.train='lora'")

    def structure(self, terms, groups):
        """Add the penalty to the terms of a loss, and log it.

        Args:
            terms (dict[str, Tensor]): What :meth:`losses` has so far.
            groups (LoRAGroups): The LoRA groups of the model.

        Returns:
            dict[str, Tensor]: The same, with something to minimise in it.
        """
        penalty = groups.penalty()
        if self.mode == 'subgradient' and self.sparsity_on:
            terms['loss_structure'] = self.alpha * penalty
        elif not any('loss' in key for key in terms):
            terms['loss_structure'] = 0 * penalty
        terms['group_norm_sum'] = penalty.detach()
        return terms

    def start_epoch(self, epoch, groups):
        """Switch sparsity on and off when its epochs come."""
        self.sparsity_over = epoch >= self.sparsity_end
        self.sparsity_on = self.sparsity_start <= epoch < self.sparsity_end
        if self.mode == 'proximal' and epoch >= self.sparsity_start:
            groups.settle_zero_layers(detach=get_world_size() == 1)
            if self.sparsity_over:
                groups.settle_zero_groups()

    def after_step(self, groups, lr):
        """Proximal step of the group penalty; what is settled stays zero."""
        if not len(groups):
            return
        if self.mode == 'proximal' and self.sparsity_on:
            # A threshold of 0 multiplies all by 1, and what is zero has no
            # gradient.
            if self.alpha:
                groups.soft_threshold_(lr * self.alpha)
        elif self.mode == 'proximal' and self.sparsity_over:
            groups.soft_threshold_(0.)


def bounded_loss(forget, bound):
    """What raises the classification loss of the forget stream to a bound.

    Args:
        forget (StreamLoss): Terms of the forget images.
        bound (float): BND.

    Returns:
        Tensor: ``ReLU(BND - L_cls)`` per supervised layer, plus the others;
        a scalar.

    Source: GS-LoRA, arXiv 2403.11530.
    """
    bounded = sum(torch.relu(bound - c).mean() for c in forget.classification)
    return bounded + sum(forget.others.values())
