"""Weights that are drawn anew in part, while a model learns from a teacher."""
import torch

from ..utils import ForgetError
from .base import check_numbers
from .group_sparsity import GroupSparsity


class DrawnAnew(GroupSparsity):
    r"""A method whose model loses, bit by bit, what nobody teaches it.

    A model that imitates a teacher without the classes says what the teacher
    says, and still has the weights that knew the classes: a few steps of
    fine-tuning find the way back. At the start of each of the first
    ``anew_epochs`` epochs of a request the weights that train are mixed with
    weights as the plain model draws them,

    .. math:: \theta \leftarrow (1 - a) \theta + a \theta_{drawn},

    and training brings back what the teacher shows, and nothing else. After
    n epochs :math:`(1 - a)^n` of them is left. Norms gather their
    statistics meanwhile, as far as those of the plain model do.

    Args:
        anew (float): a, at most 1; 0 draws nothing.
        anew_epochs (int): n, at least 1.
        alpha, sparsity_start, sparsity_end, mode: See
            :class:`GroupSparsity`.

    Raises:
        ForgetError: If an argument is out of range.

    Source: noise once, before distillation: Lee et al., "Distillation
        Robustifies Unlearning" (UNDO), 2025, arXiv 2506.06278.
    """

    def __init__(self, anew, anew_epochs, alpha, sparsity_start, sparsity_end,
                 mode):
        super().__init__(alpha, sparsity_start, sparsity_end, mode)
        owner = type(self).__name__
        check_numbers(owner, dict(anew=anew))
        if anew > 1:
            raise ForgetError(f'anew of {owner} must be at most 1, not '
                              f'{anew!r}')
        if isinstance(
                anew_epochs,
                bool) or not isinstance(anew_epochs, int) or anew_epochs < 1:
            raise ForgetError(f'anew_epochs of {owner} must be a whole number '
                              f'>= 1, not {anew_epochs!r}')
        self.anew, self.anew_epochs = anew, anew_epochs
        self.starts_apart = self.trains_norms = anew > 0
        self._model, self._seed = None, 0

    def check_groups(self, groups):
        """See :meth:`ForgettingMethod.check_groups`."""
        super().check_groups(groups)
        if self.anew and len(groups):
            raise ForgetError(
                f'{type(self).__name__} with anew={self.anew:g} draws weights '
                'of the model anew, and LoRA would leave them so; set '
                "forget.train='all', or forget.method.anew=0")

    def begin(self, model, stored, fresh=True):
        """See :meth:`ForgettingMethod.begin`."""
        if self.anew:
            self._model, self._seed = model, model.generator.initial_seed()

    def start_epoch(self, epoch, groups):
        """Mix the weights in the first epochs, then see GroupSparsity."""
        super().start_epoch(epoch, groups)
        if self.anew and epoch < self.anew_epochs:
            # Of the epoch alone: a run that is resumed draws the same.
            generator = torch.Generator().manual_seed(self._seed + epoch)
            self._model.start_anew(self.anew, generator)
