"""Class prototypes and the file that they are kept in."""
import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, float32

from ..utils import ForgetError, write_bytes

_KEY = 'gslora_mm_prototypes'
_CURE = 'remove it and start again with --resume to compute it anew'


@dataclass
class Prototypes:
    """One embedding for every class of a model.

    Args:
        embeddings (Tensor): Shape (C, D); zeros where there is none.
        logits (Tensor): What the head makes of them, shape (C, C').
        counts (Tensor): How many embeddings each is the mean of, shape
            (C, ); 0 where there is no prototype.
        spreads (Tensor): Their mean distances from it, by each of
            ``DISTANCES``, shape (C, 3); zeros where that is not known.
    """

    embeddings: Tensor
    logits: Tensor
    counts: Tensor
    spreads: Tensor

    def to(self, device):
        """Prototypes: The same on a device."""
        return Prototypes(*(v.to(device) for v in vars(self).values()))

    def save(self, path, metadata):
        """Write them, whole or not at all.

        Args:
            path (str | Path): A safetensors file.
            metadata (dict): What JSON can hold: of which model and data.
        """
        tensors = {
            key: value.detach().cpu().clone().contiguous()
            for key, value in vars(self).items()
        }
        write_bytes(path, save(tensors, metadata={_KEY: json.dumps(metadata)}))


def load_prototypes(path):
    """Read what :meth:`Prototypes.save` wrote.

    Args:
        path (str | Path): The file.

    Returns:
        tuple[Prototypes, dict]: CPU tensors, and the metadata.

    Raises:
        ForgetError: If the file is missing, damaged or something else.
    """
    if not Path(path).is_file():
        raise ForgetError(f'the prototypes {path} are gone; start the run '
                          'again with --resume to compute them anew')
    try:
        with safe_open(str(path), framework='pt', device='cpu') as file:
            metadata = json.loads((file.metadata() or {})[_KEY])
            found = {k: file.get_tensor(k).clone() for k in file.keys()}
        _check(found, metadata)
        return Prototypes(**found), metadata
    except (SafetensorError, OSError, KeyError, TypeError, ValueError,
            RecursionError) as err:
        raise ForgetError(
            f'{path} is no file of prototypes, or damaged; {_CURE}') from err


def _check(tensors, metadata):
    """Raise a ValueError unless the tensors belong together."""
    classes = len(tensors['embeddings'])
    shapes = dict(embeddings=2, logits=2, counts=1, spreads=2)
    sound = isinstance(metadata, dict) and set(tensors) == set(shapes) and all(
        tensors[key].ndim == ndim and len(tensors[key]) == classes
        and tensors[key].dtype == float32 and tensors[key].isfinite().all()
        for key, ndim in shapes.items())
    if not sound:
        raise ValueError('the tensors do not belong together')
