"""GS-LoRA."""
from ..registry import METHODS
from .base import check_numbers
from .group_sparsity import GroupSparsity, bounded_loss

# Of the published COCO runs.
BOUND = 15.


@METHODS.register_module()
class GSLoRA(GroupSparsity):
    r"""Group Sparse LoRA.

    .. math::
        L = L_{retain} + \beta L_{forget} + \alpha L_{structure}

    with the ordinary weighted loss on the retain stream;
    :math:`L_{forget} = \mathrm{ReLU}(BND - L_{cls}) + L_{others}` on the
    forget stream, where :math:`L_{cls}` is the weighted classification loss
    of the batch and the others (the box losses of a detector) stay
    positive; and :math:`L_{structure} = \sum_g \lVert\theta_g\rVert_2` over
    the LoRA groups. `Continual Forgetting for Pre-trained Vision Models
    <https://arxiv.org/abs/2403.11530>`_, CVPR 2024.

    The penalty enters in one of two ways. ``proximal`` (default) solves it
    exactly: after each optimizer step every group is soft-thresholded by
    ``lr * alpha``, so unselected groups become exactly zero. Layers whose A
    and B are zero at the start of an epoch stay so and are not computed any
    more.
    ``subgradient`` adds ``alpha * L_structure`` to the loss, as the
    published code does; groups get small, never zero. AdamW normalises
    gradients, so the two need different alphas: about 15 and 3e-4.

    Args:
        beta (float): Weight of the forget term. Defaults to 0.2.
        alpha (float): Weight of the group sparsity. Defaults to 15.
        sparsity_start (int): Epochs with alpha 0 before it is switched on
            (K of the paper). Defaults to 0.
        sparsity_end (int, optional): Epoch from which the penalty is off
            again. Groups that are zero by then stay zero (``proximal``), the
            others train on without being shrunk: the relaxed lasso of
            Meinshausen, Computational Statistics & Data Analysis 52 (2007).
            Defaults to never.
        bound (float, optional): BND, the value at which the classification
            loss of the forget stream stops being raised. Defaults to what
            suits the head of the model (its ``natural_bound``), 15 for
            detectors.
        mode (str): ``'proximal'`` or ``'subgradient'``.
        late_beta (float, optional): Weight of the forget term from epoch
            ``late_start`` on, so that the last epochs repair what forgetting
            did to the others (``beta_decay`` of the published code).
            Defaults to ``beta``.
        late_start (int): See ``late_beta``. Defaults to 0.

    Raises:
        ForgetError: If an argument is out of range.
    """

    lower = 'the learning rate or beta'
    averages_ranks = True

    def __init__(self,
                 beta=0.2,
                 alpha=15.,
                 sparsity_start=0,
                 bound=None,
                 mode='proximal',
                 late_beta=None,
                 late_start=0,
                 sparsity_end=None):
        super().__init__(alpha, sparsity_start, sparsity_end, mode)
        check_numbers(
            type(self).__name__,
            dict(
                beta=beta,
                late_start=late_start,
                late_beta=late_beta,
                bound=bound),
            optional=('late_beta', 'bound'))
        self.beta = beta
        self.betas = beta, beta if late_beta is None else late_beta
        self.late_start = late_start
        self.bound, self._bound_given = bound, bound is not None
        if bound is None:
            self.bound = BOUND

    def default_bound(self, bound):
        """See :meth:`ForgettingMethod.default_bound`."""
        if not self._bound_given:
            self.bound = bound

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = {}
        if retain is not None:
            terms['loss_retain'] = retain.total()
            terms.update(retain.logged('retain'))
        if forget is not None:
            terms['loss_forget'] = self.beta * self.forget_loss(forget)
            terms.update(forget.logged('forget'))
        return self.structure(terms, groups)

    def forget_loss(self, forget):
        """``ReLU(BND - L_cls)`` per supervised layer, plus the others."""
        return bounded_loss(forget, self.bound)

    def start_epoch(self, epoch, groups):
        """Switch sparsity and ``late_beta`` on when their epochs come."""
        self.beta = self.betas[epoch >= self.late_start]
        super().start_epoch(epoch, groups)
