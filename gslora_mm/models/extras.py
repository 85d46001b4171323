"""Modules that belong to a method lie in the model, and in no plain one."""
from ..lora import is_lora_key

# The attribute of the model.
EXTRAS = 'of_method'


def is_extra_key(key):
    """Whether a state dict key is one of a module of the method."""
    return key.startswith(f'{EXTRAS}.')


def plain_part(state):
    """The part of a state dict that a plain model has.

    Args:
        state (dict[str, Tensor]): State dict of a model that forgets.

    Returns:
        dict[str, Tensor]: Without LoRA and without modules of the method.
    """
    return {
        key: value
        for key, value in state.items()
        if not (is_lora_key(key) or is_extra_key(key))
    }


def extra_part(state):
    """dict[str, Tensor]: What modules of the method hold, by their names."""
    return {
        key.removeprefix(f'{EXTRAS}.'): value
        for key, value in state.items() if is_extra_key(key)
    }
