"""The LoRA layer."""
import copy
import math
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional as F

from .delta import add_delta, low_rank_delta


class LoRALinear(nn.Linear):
    """A linear layer with a low-rank update: ``W x + b + alpha/r B A x``.

    Made by :meth:`from_linear` only. It adopts the weight and the bias of an
    existing layer, so that their state dict keys do not change, and adds
    ``lora_A`` of shape (rank, in) and ``lora_B`` of shape (out, rank). Unlike
    in loralib, ``eval()`` never merges: :meth:`merge` does, when asked.

    Attributes:
        rank (int): Rank r of the update.
        alpha (float): Its numerator; ``scaling`` is alpha / rank.
        merged (bool): Whether the update already lies in ``weight``.
        enabled (bool): Whether ``forward`` adds the update.
        settled (bool): Whether the update is zero for good, see
            :meth:`settle`.
        block (str | None): Transformer block of the layer, set by
            :func:`~gslora_mm.lora.inject_lora`.

    Source: Hu et al., LoRA, arXiv 2106.09685, section 4.1.
    """

    def __init__(self, *args, **kwargs):
        raise TypeError('use LoRALinear.from_linear(linear, rank, alpha)')

    @classmethod
    def from_linear(cls, linear, rank=8, alpha=8.0):
        """Put LoRA on a layer, sharing its parameters.

        Args:
            linear (nn.Linear): The layer, of this class or a subclass whose
                forward is a plain linear map.
            rank (int): Rank, at least 1.
            alpha (float): Numerator of the scaling.

        Returns:
            LoRALinear: Same ``weight`` and ``bias`` objects, ``lora_B`` zero.

        Raises:
            TypeError: If it is no linear layer that owns its weight.
            ValueError: If the rank is not a positive integer.
        """
        if isinstance(linear, cls) or not isinstance(linear, nn.Linear):
            raise TypeError(f'LoRA needs an nn.Linear without LoRA, '
                            f'got {type(linear).__name__}')
        if not isinstance(linear._parameters.get('weight'), nn.Parameter):
            raise TypeError('LoRA cannot adopt a parametrized or lazy weight')
        if not isinstance(rank, int) or rank < 1:
            raise ValueError(f'rank must be an integer >= 1, got {rank!r}')
        layer = _same_state(linear, cls)
        layer.base_class = type(linear)
        layer.rank, layer.alpha = rank, float(alpha)
        layer.scaling = layer.alpha / rank
        layer.merged, layer.enabled, layer.block = False, True, None
        layer.settled = False
        like = linear.weight
        layer.lora_A = nn.Parameter(
            like.new_empty(rank, linear.in_features, requires_grad=True))
        layer.lora_B = nn.Parameter(
            like.new_empty(linear.out_features, rank, requires_grad=True))
        layer.reset_lora()
        return layer

    @torch.no_grad()
    def reset_lora(self):
        """Start a new update: A Kaiming-uniform, U(+-1/sqrt(in)), B zero."""
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B)
        self.lora_A.requires_grad_(True)
        self.lora_B.requires_grad_(True)
        self.merged = self.settled = False

    def settle(self):
        """Take an update that is zero out of training.

        With A and B zero both gradients are zero, as each holds the other
        matrix as a factor: no gradient step leaves this point. Without the
        layer the backward pass ends at the first one that still learns.
        """
        self.settled = True
        for param in (self.lora_A, self.lora_B):
            param.requires_grad_(False)
            param.grad = None

    def forward(self, x):
        """Apply the layer.

        Args:
            x (Tensor): Shape (..., in).

        Returns:
            Tensor: Shape (..., out).
        """
        if self.merged or self.settled or not self.enabled:
            return F.linear(x, self.weight, self.bias)
        if self.folds:
            return F.linear(x, self._folded(), self.bias)
        out = F.linear(x, self.weight, self.bias)
        low = F.linear(x, self.lora_A)
        # One kernel that scales, multiplies and adds: as separate operations
        # these would write three more tensors of the size of the output.
        return torch.addmm(
            out.reshape(-1, self.out_features),
            low.reshape(-1, self.rank),
            self.lora_B.t(),
            alpha=self.scaling).reshape(out.shape)

    @property
    def folds(self):
        """Whether a step costs less with the update added to the weight.

        For each token the two thin products, forward and backward, take
        3 r (in + out) multiplications more than the layer; the gradient of
        the whole weight, from which those of A and B follow, takes in * out.
        """
        thin = 3 * self.rank * (self.in_features + self.out_features)
        return thin > self.in_features * self.out_features

    def _folded(self):
        """Weight and update in one; in half precision rounded only then."""
        with torch.autocast(self.weight.device.type, enabled=False):
            return torch.addmm(
                self.weight, self.lora_B, self.lora_A, alpha=self.scaling)

    def delta_weight(self):
        """Return the weight change ``alpha/r B A``, shape (out, in)."""
        return low_rank_delta(self.lora_A, self.lora_B, self.scaling)

    @torch.no_grad()
    def merge(self):
        """Add the weight change to ``weight`` in place, once.

        Where the change is zero, the weight keeps its bits.

        Raises:
            RuntimeError: If it is merged already.
        """
        if self.merged:
            raise RuntimeError('LoRA layer is already merged; merging twice '
                               'would add its update twice')
        self.weight.copy_(add_delta(self.weight, self.delta_weight()))
        self.merged = True

    def to_linear(self):
        """Return a layer of the original class that shares the weight.

        The update is left behind unless :meth:`merge` came first.
        """
        linear = _same_state(self, self.base_class)
        for name in ('lora_A', 'lora_B'):
            del linear._parameters[name]
        for name in ('base_class', 'rank', 'alpha', 'scaling', 'merged',
                     'enabled', 'settled', 'block'):
            del linear.__dict__[name]
        return linear

    def extra_repr(self):
        """Add rank and alpha to the line of ``nn.Linear``."""
        return f'{super().extra_repr()}, rank={self.rank}, alpha={self.alpha}'


def _same_state(module, cls):
    """A ``cls`` with the very parameters, hooks and settings of ``module``."""
    # Not a deepcopy: the parameters stay the same objects. Only the dicts
    # are copied, so that what one module registers is not the other's.
    twin = cls.__new__(cls)
    twin.__dict__ = {
        key: copy.copy(value) if isinstance(value, dict) else value
        for key, value in module.__dict__.items()
    }
    return twin


def lora_layers(model):
    """Return the LoRA layers of a model, in the order of the module tree.

    Args:
        model (nn.Module): Any model.

    Returns:
        dict[str, LoRALinear]: Layer by name.
    """
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, LoRALinear)
    }


def reset_lora(model):
    """Draw every LoRA layer of a model anew (:meth:`LoRALinear.reset_lora`).

    Args:
        model (nn.Module): A model with LoRA.
    """
    for layer in lora_layers(model).values():
        layer.reset_lora()


@contextmanager
def lora_disabled(model):
    """Run a model as if it had no LoRA. What is merged stays merged.

    Args:
        model (nn.Module): A model with LoRA.

    Yields:
        nn.Module: The model.
    """
    layers = list(lora_layers(model).values())
    before = [layer.enabled for layer in layers]
    try:
        for layer in layers:
            layer.enabled = False
        yield model
    finally:
        for layer, enabled in zip(layers, before):
            layer.enabled = enabled
