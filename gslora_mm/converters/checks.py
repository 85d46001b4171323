"""Refusing state dicts that are not exactly what a format expects."""
from collections import Counter, defaultdict

from ..utils import ForgetError

_NAMED = 4


def check_keys(state, table, title):
    """Check that a state dict has the keys of a table and no other.

    Args:
        state (dict[str, Tensor]): The state dict.
        table (dict[str, tuple]): What is expected, by key.
        title (str): Name of the format.

    Raises:
        ForgetError: Naming the keys.
    """
    _refuse(
        title,
        missing=[k for k in table if k not in state],
        unknown=[k for k in state if k not in table])


def check_shapes(state, table, title):
    """Check the shapes against a table written with letters.

    A letter stands for the size that most tensors give it, so that one
    misshapen tensor is blamed and not all the others.

    Args:
        state (dict[str, Tensor]): With exactly the keys of the table.
        table (dict[str, tuple[str, tuple]]): New key and shape by key; see
            :class:`~gslora_mm.converters.CheckpointFormat`.
        title (str): Name of the format.

    Returns:
        dict[str, int]: Size by letter.

    Raises:
        ForgetError: Naming the tensors, and what their shapes should be.
    """
    votes = defaultdict(Counter)
    for key, (_, shape) in table.items():
        if state[key].ndim == len(shape):
            for dim, size in zip(shape, state[key].shape):
                if isinstance(dim, str) and len(dim) == 1:
                    votes[dim][size] += 1
    sizes = {dim: count.most_common(1)[0][0] for dim, count in votes.items()}
    wrong = []
    for key, (_, shape) in table.items():
        expected = tuple(_size(dim, sizes) for dim in shape)
        if tuple(state[key].shape) != expected:
            wrong.append(f'{key} {tuple(state[key].shape)} instead of '
                         f'{expected}')
    numbers = [k for k, v in state.items() if not v.is_floating_point()]
    _refuse(title, shapes=wrong, numbers=numbers)
    return sizes


def _size(dim, sizes):
    if isinstance(dim, int):
        return dim
    if dim[-1] not in sizes:
        return dim
    return int(dim[:-1] or 1) * sizes[dim[-1]]


def _refuse(title, **faults):
    words = dict(
        missing='missing keys',
        unknown='unknown keys',
        shapes='wrong shapes',
        numbers='tensors that are not floating point')
    found = [
        f'{len(keys)} {words[kind]} ({", ".join(keys[:_NAMED])}'
        f'{", ..." if len(keys) > _NAMED else ""})'
        for kind, keys in faults.items() if keys
    ]
    if found:
        raise ForgetError(
            f'the weights do not fit the format {title}: {"; ".join(found)}; '
            'nothing was converted: take the whole checkpoint of an unchanged '
            'model, or name its true format with --format')
