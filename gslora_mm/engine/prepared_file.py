"""What a method keeps of a request, in a file."""
from pathlib import Path

from ..lora import load_adapter, save_adapter
from ..utils import ForgetError, atomic_path

PREPARED = 'prepared.safetensors'
# What a method keeps when a request is trained.
KEPT = 'kept.safetensors'


def save_prepared(folder, tensors, base_print, name=PREPARED):
    """Write what a method prepared or keeps, whole or not at all.

    Args:
        folder (Path): Folder of the request.
        tensors (dict[str, Tensor]): What it is.
        base_print (str): Fingerprint of the weights it is about.
        name (str): Name of the file.
    """
    with atomic_path(Path(folder) / name) as partial:
        save_adapter(partial, tensors, dict(base_fingerprint=base_print))


def load_prepared(folder, base_print=None):
    """Read what :func:`save_prepared` wrote.

    Args:
        folder (Path): Folder of a request.
        base_print (str, optional): What it must be about.

    Returns:
        dict[str, Tensor]: CPU tensors.

    Raises:
        ForgetError: If it is missing, damaged or of another base.
    """
    path = Path(folder) / PREPARED
    cure = (f'restore it, or remove {folder} and train the request again '
            'with --resume')
    if not path.is_file():
        raise ForgetError(f'{path} is gone; {cure}')
    try:
        tensors, about = load_adapter(path)
    except ValueError as err:
        raise ForgetError(f'{path} is damaged; {cure}') from err
    if base_print and about.get('base_fingerprint') != base_print:
        raise ForgetError(f'{path} is about other base weights; {cure}')
    return tensors


def stored_bytes(folder):
    """int: Size of what a method prepared and keeps; 0 if nothing."""
    paths = [Path(folder) / name for name in (PREPARED, KEPT)]
    return sum(path.stat().st_size for path in paths if path.is_file())
