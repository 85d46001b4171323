"""The lower and the upper half of a model, and what passes between them."""
from contextlib import contextmanager

import torch

from ..lora.blocks import find_blocks
from ..utils import ForgetError
from .extras import is_extra_key


class HalvesMixin:
    """Says where a model has its middle, and what it looks like there."""

    _lower = None

    def lower_half(self):
        """Names of the modules of the lower half, one after the other.

        Returns:
            list[str]: The first half of the Transformer blocks.

        Raises:
            ForgetError: If the model has not two of them.
        """
        if self._lower is None:
            self._lower = self._first_blocks()
        return self._lower

    def _first_blocks(self):
        names = [
            name for name, _, _ in find_blocks(self) if not is_extra_key(name)
        ]
        found = dict(self.named_modules())
        if len(names) < 2 or not all(name in found for name in names):
            raise ForgetError(
                f'{type(self).__name__} has no two Transformer blocks that '
                f'are modules, and {type(self.method).__name__} needs a lower '
                'and an upper half; use another method')
        return names[:len(names) // 2]

    @contextmanager
    def watch_middle(self):
        """Collect what the lower half returns.

        Yields:
            list[Tensor]: Empty; gets an entry of shape (N, tokens, D) with
            every forward inside the block. Stays empty unless the method
            ``needs_middle``.
        """
        seen = []
        if not self.method.needs_middle:
            yield seen
            return
        last = self.get_submodule(self.lower_half()[-1])
        handle = last.register_forward_hook(
            lambda module, args, output: seen.append(_checked(module, output)))
        try:
            yield seen
        finally:
            handle.remove()


def _checked(module, output):
    if not isinstance(output, torch.Tensor) or output.ndim != 3:
        raise ForgetError(
            f'{type(module).__name__}, the last of the lower half, does not '
            'return tokens (N, tokens, D); use a method that needs no halves')
    return output


@contextmanager
def swapped(model, names, modules):
    """Put other modules in the place of some.

    Args:
        model (nn.Module): As before when the block is left.
        names (list[str]): Where.
        modules (Iterable[nn.Module]): What.
    """
    before = [model.get_submodule(name) for name in names]
    try:
        _put(model, names, modules)
        yield
    finally:
        _put(model, names, before)


def _put(model, names, modules):
    for name, module in zip(names, modules):
        parent, _, key = name.rpartition('.')
        # No setattr: mmengine's lists of modules have numbers for keys.
        model.get_submodule(parent)._modules[key] = module
