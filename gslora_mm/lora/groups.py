"""Groups of LoRA parameters: norms, penalty, proximal operator."""
import torch

from .layer import lora_layers

GROUPINGS = ('block', 'lora', 'matrix')


class LoRAGroups:
    """The LoRA parameters of a model, in groups that live or die together.

    Args:
        model (nn.Module): A model with LoRA.
        by (str): ``'block'``: all LoRA of one Transformer block (the paper's
            choice); ``'lora'``: A and B of one layer; ``'matrix'``: each A
            and each B alone.

    Attributes:
        names (list[str]): Block name, layer name or ``'layer.lora_A'``.

    Raises:
        ValueError: If ``by`` is unknown or the model has no LoRA.

    Source: GS-LoRA, arXiv 2403.11530.
    """

    def __init__(self, model, by='block'):
        if by not in GROUPINGS:
            raise ValueError(f'by must be one of {GROUPINGS}, got {by!r}')
        self._modules = lora_layers(model)
        if not self._modules:
            raise ValueError(f'{type(model).__name__} has no LoRA layers; '
                             'call inject_lora first')
        self.by = by
        members = {}
        for name, layer in self._modules.items():
            for matrix in ('lora_A', 'lora_B'):
                key = f'{name}.{matrix}' if name else matrix
                block = name if layer.block is None else layer.block
                group = dict(block=block, lora=name, matrix=key)[by]
                members.setdefault(group, []).append((key, name, matrix))
        self.names = list(members)
        self._members = list(members.values())
        self._zero_layers, self._zero_groups = [], []

    def __len__(self):
        return len(self.names)

    def parameters(self, i):
        """Return the parameters of group i, A before B, layer by layer."""
        return [
            getattr(self._modules[name], matrix)
            for _, name, matrix in self._members[i]
        ]

    def keys(self, i):
        """Return the state dict keys of the parameters of group i."""
        return [key for key, _, _ in self._members[i]]

    def layers(self, i):
        """Return the names of the LoRA layers that group i touches."""
        return list(dict.fromkeys(name for _, name, _ in self._members[i]))

    def norms(self):
        """Return the Euclidean norm of every group.

        Its gradient is zero, not NaN, where a group is zero.

        Returns:
            Tensor: Shape (G,).
        """
        return torch.stack([
            _safe_sqrt(_square_sum(self.parameters(i)))
            for i in range(len(self))
        ])

    def penalty(self):
        """Return L_structure, the sum of the norms, a scalar tensor.

        Source: GS-LoRA, arXiv 2403.11530; no weight by group size.
        """
        return self.norms().sum()

    @torch.no_grad()
    def soft_threshold_(self, threshold):
        """Apply the proximal operator of ``threshold * penalty()`` in place.

        ``v <- max(0, 1 - t / ||v||) v`` for every group v: a norm of at most
        t becomes exactly +0.0, any other shrinks by t. NaN stays NaN. The
        threshold may be a tensor, so that nothing waits for the GPU.

        Args:
            threshold (float | Tensor): t >= 0, one value or shape (G,).

        Raises:
            ValueError: If a number below zero is given.

        Source: Yuan and Lin, group lasso, JRSS-B 68 (2006).
        """
        if not torch.is_tensor(threshold) and threshold < 0:
            raise ValueError(f'threshold must be >= 0, got {threshold}')
        norms = self.norms()
        limits = torch.as_tensor(
            threshold, dtype=norms.dtype, device=norms.device).expand_as(norms)
        factors = 1 - limits / torch.where(norms == 0, 1, norms)
        dead = (norms <= limits) | (factors <= 0)
        for i in range(len(self)):
            for param in self.parameters(i):
                # Not a product with 0, which leaves -0.0 behind.
                shrunk = (param * factors[i]).to(param.dtype)
                param.copy_(torch.where(dead[i], 0, shrunk))
        for layer in self._zero_layers:
            layer.lora_A.zero_()
            layer.lora_B.zero_()
        for i in self._zero_groups:
            for param in self.parameters(i):
                param.zero_()

    def settle_zero_groups(self):
        """Let :meth:`soft_threshold_` keep groups zero that are zero now.

        Unlike a zero layer, a zero group of one matrix has a gradient, which
        would move it again.
        """
        self._zero_groups = self.zero_mask().nonzero().flatten().tolist()

    @torch.no_grad()
    def settle_zero_layers(self, detach=True):
        """Let layers stay zero whose A and B are; see LoRALinear.settle.

        Only the momentum of an optimizer could still move them. Looks at
        the weights, so that a GPU is waited for: call it once in a while.

        Args:
            detach (bool): Also take them out of forward and backward.
                False where something waits for every gradient, as
                DistributedDataParallel does; :meth:`soft_threshold_` then
                keeps them at zero. Defaults to True.
        """
        layers = list(self._modules.values())
        zero = [
            layer for layer in layers
            if not (layer.lora_A.any() or layer.lora_B.any())
        ]
        self._zero_layers = zero
        # With nothing left that learns, a loss would have no gradient.
        if detach and len(zero) < len(layers):
            for layer in zero:
                layer.settle()

    @torch.no_grad()
    def zero_mask(self):
        """Return which groups are zero in every entry, bool of shape (G,)."""
        return torch.stack([
            ~torch.stack([param.any() for param in self.parameters(i)]).any()
            for i in range(len(self))
        ])

    @torch.no_grad()
    def update_norms(self):
        """Return how far each group moves the weights it touches.

        The Frobenius norm of ``alpha/r B A`` over the layers of the group;
        by ``'matrix'`` it is the norm of the change of the matrix's layer.

        Returns:
            Tensor: Shape (G,).
        """
        change = {
            name: _square_sum([layer.delta_weight()])
            for name, layer in self._modules.items()
        }
        return torch.stack([
            sum(change[name] for name in self.layers(i))
            for i in range(len(self))
        ]).sqrt()


def _square_sum(tensors):
    return sum(_at_least_float(t).square().sum() for t in tensors)


def _at_least_float(tensor):
    # Squares of half precision overflow at 256 and vanish below 2e-4.
    return tensor.float() if tensor.element_size() < 4 else tensor


def _safe_sqrt(square):
    # `== 0` and not `> 0`: a NaN must come out as NaN.
    zero = square == 0
    return torch.where(zero, 0, torch.where(zero, 1, square).sqrt())
