"""What every Transformer block of a classifier makes of images."""
from contextlib import ExitStack, contextmanager
from weakref import WeakKeyDictionary

import torch

from ..lora.blocks import find_blocks
from ..utils import ForgetError

# Looked up once: a training asks at every step.
_PLACES = WeakKeyDictionary()


@contextmanager
def watching(hooks):
    """Keep hooks until the block is left.

    Args:
        hooks (Iterable): Their handles.
    """
    with ExitStack() as stack:
        for handle in hooks:
            stack.callback(handle.remove)
        yield


def block_places(model):
    """Names of the Transformer blocks, and the modules that end them.

    Args:
        model (nn.Module): Any model.

    Returns:
        dict[str, str]: Names of modules by names of blocks, in the order of
        the network. They differ where a block is several children of one
        module.
    """
    modules = dict(model.named_modules())
    return {
        name:
        name if name in modules else name.replace(
            name.rpartition('.')[2],
            name.rpartition('-')[2])
        for name, _, _ in find_blocks(model)
    }


@contextmanager
def watch_blocks(model, last=None):
    """Collect what the blocks of a classifier return, pooled.

    Args:
        model (ImageClassifier): The model.
        last (int, optional): How many blocks, from the last one. Defaults to
            all.

    Yields:
        dict[str, Tensor]: Empty; has (N, F) by name after a forward inside
        the block, see :func:`pooled_tokens`.

    Raises:
        ForgetError: If it has no such block.
    """
    if model not in _PLACES:
        _PLACES[model] = list(block_places(model).items())
    places = _PLACES[model][-(last or 0):]
    if not places:
        raise ForgetError(f'{type(model).__name__} has no Transformer block '
                          'to look at; remove recovery.probes')
    extra, seen = getattr(model.backbone, 'num_extra_tokens', 0), {}

    def keep(name):

        def hook(module, args, output):
            seen[name] = pooled_tokens(output, extra)

        return hook

    with watching(
            model.get_submodule(place).register_forward_hook(keep(name))
            for name, place in places):
        yield seen


def pooled_tokens(output, extra):
    """Class tokens beside the mean of the others.

    Args:
        output (Tensor | Sequence): Tokens (N, T, D), or maps (N, D, H, W) of
            a hybrid network; the first of several outputs.
        extra (int): Class tokens.

    Returns:
        Tensor: (N, (extra + 1) D); the mean of a map, (N, D).
    """
    if isinstance(output, (tuple, list)):
        output = output[0]
    if output.ndim == 4:
        return output.mean((2, 3))
    return torch.cat([output[:, :extra].flatten(1), output[:, extra:].mean(1)],
                     1)
