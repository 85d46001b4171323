"""Finding out what a state dict is, and converting it."""
import torch

from ..utils import ForgetError
from .face_transformer import FaceTransformer
from .torchvision_vit import TorchvisionViT

#: Every format by name.
FORMATS = {f.name: f for f in (TorchvisionViT(), FaceTransformer())}

# Beginnings of the keys of every converted checkpoint.
_CONVERTED = ('backbone.cls_token', 'backbone.patch_embed.',
              'backbone.layers.')


def detect_format(state):
    """Tell the format of a state dict by its keys.

    Args:
        state (dict[str, Tensor]): The state dict.

    Returns:
        str: Its name in :data:`FORMATS`.

    Raises:
        ForgetError: If it is in mmpretrain's format already, or unknown.
    """
    state = _plain_keys(state)
    found = [name for name, form in FORMATS.items() if form.matches(state)]
    if len(found) != 1:
        what = (f'looks like {" and ".join(found)} at once' if found else
                f'is of no known format ({", ".join(list(state)[:3])}, ...)')
        raise ForgetError(f'the state dict {what}; known are '
                          f'{", ".join(FORMATS)}: name one with --format if '
                          'it is one of them')
    return found[0]


def convert(state, format=None, rows=None):
    """Convert a state dict to the keys of an mmpretrain classifier.

    Args:
        state (dict[str, Tensor]): Of a foreign model; a ``module.`` before
            every key is ignored.
        format (str, optional): Name in :data:`FORMATS`; default: detected.
        rows (Sequence[int], optional): Rows of the head to keep, in the
            order of the new classes: 100 of 1000 for ImageNet-100.

    Returns:
        tuple[dict[str, Tensor], list[str]]: The new state dict, which shares
        no memory with the old one, and notes for the user.

    Raises:
        ForgetError: If the format is unknown, or any key is missing, unknown
            or of a wrong shape. Nothing is converted then.
    """
    state = _plain_keys(state)
    name = format or detect_format(state)
    if name not in FORMATS:
        raise ForgetError(f'unknown checkpoint format {name!r}; known are '
                          f'{", ".join(FORMATS)}')
    return FORMATS[name].convert(state, rows)


def _plain_keys(state):
    bad = [
        key for key, value in state.items()
        if not (isinstance(key, str) and isinstance(value, torch.Tensor))
    ]
    if bad or not state:
        what = f'{bad[0]!r} is no tensor' if bad else 'it is empty'
        raise ForgetError(f'this is no state dict: {what}; give the '
                          'model.state_dict() alone')
    if all(key.startswith('module.') for key in state):
        state = {k.removeprefix('module.'): v for k, v in state.items()}
    done = [key for key in state if key.startswith(_CONVERTED)]
    if done:
        raise ForgetError(
            f'the state dict is in mmpretrain format already ({done[0]}, '
            '...); use the checkpoint as it is, with load_from=FILE')
    return state
