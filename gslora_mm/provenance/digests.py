"""Digests of files, and of the tensors in them."""
import hashlib
from pathlib import Path

from ..utils import ForgetError, shown

_AT_ONCE = 1 << 20
_PICKLED, _SAFE = ('.pth', '.pt'), '.safetensors'
TENSOR_FILES = (*_PICKLED, _SAFE)


def file_digest(path):
    """SHA-256 of a file's bytes.

    Args:
        path (str | Path): The file.

    Returns:
        str: In hex.

    Raises:
        ForgetError: If it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, 'rb') as file:
            while block := file.read(_AT_ONCE):
                digest.update(block)
    except (OSError, ValueError) as err:
        reason = getattr(err, 'strerror', None) or err
        raise ForgetError(f'cannot read {shown(path)}: {reason}; restore the '
                          'file, then --resume') from err
    return digest.hexdigest()


def describe_file(path, tensors=None):
    """What a manifest says of a file.

    Args:
        path (str | Path): The file.
        tensors (dict[str, str], optional): Digests of its tensors; default:
            read from it, if it holds any.

    Returns:
        dict: ``bytes``, ``sha256`` and, of a file of tensors, ``tensors``:
        SHA-256 of dtype, shape and bytes of each.

    Raises:
        ForgetError: If it cannot be read.
    """
    path = Path(path)
    about = dict(sha256=file_digest(path), bytes=path.stat().st_size)
    if path.suffix in TENSOR_FILES:
        about['tensors'] = (
            read_tensor_digests(path) if tensors is None else tensors)
    return about


def read_tensor_digests(path):
    """Digest every tensor of a checkpoint or safetensors file.

    Args:
        path (str | Path): The file, untrusted.

    Returns:
        dict[str, str]: See :func:`gslora_mm.lora.tensor_digests`.

    Raises:
        ForgetError: If it is missing or damaged.
    """
    # Here, as the engine imports this package.
    from ..engine.checkpoints import load_plain_state
    from ..lora import tensor_digests
    if Path(path).suffix == _SAFE:
        return tensor_digests(_read_safetensors(path))
    return tensor_digests(load_plain_state(path)[0])


def _read_safetensors(path):
    from safetensors import safe_open
    try:
        with safe_open(str(path), framework='pt', device='cpu') as file:
            return {key: file.get_tensor(key) for key in file.keys()}
    except Exception as err:  # damaged headers raise all sorts
        reason = str(err).splitlines() or [type(err).__name__]
        raise ForgetError(f'{path} is no safetensors file, or damaged '
                          f'({shown(reason[0])}); restore it') from err


def fingerprint_of(digests):
    """Fingerprint of a model, from the digests of its tensors.

    Args:
        digests (dict[str, str]): Of a plain model.

    Returns:
        str: As :func:`gslora_mm.lora.fingerprint` has it.
    """
    lines = (f'{key}\0{digests[key]}\n' for key in sorted(digests))
    return hashlib.sha256(''.join(lines).encode()).hexdigest()
