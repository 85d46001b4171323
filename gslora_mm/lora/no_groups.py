"""The groups of a model without LoRA."""
import torch

from .groups import LoRAGroups


class NoGroups(LoRAGroups):
    """What :class:`LoRAGroups` is where nothing is inserted: no group.

    Norms are empty, the penalty is 0 and no step changes anything, so that
    whoever works with groups needs no other way for models without.

    Attributes:
        names (list[str]): Empty.
        by (None): There is nothing to group.
    """

    def __init__(self):
        self.by, self.names = None, []
        self._modules, self._members = {}, []
        self._zero_layers, self._zero_groups = [], []

    def norms(self):
        """Tensor: Shape (0, )."""
        return torch.zeros(0)

    def zero_mask(self):
        """Tensor: Shape (0, ), bool."""
        return torch.zeros(0, dtype=torch.bool)

    def update_norms(self):
        """Tensor: Shape (0, )."""
        return torch.zeros(0)
