"""Adapters on disk: safetensors, which cannot run code when loaded."""
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

_KEY = 'gslora_mm'
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# What the metadata may say, and how.
_TYPES = dict(
    request=int,
    classes=list,
    forgotten=list,
    zero_groups=list,
    base_fingerprint=str,
    merged_fingerprint=str,
    group=str,
    rank=(int, dict),
    scaling=(int, float, dict))


def save_adapter(path, adapter, metadata):
    """Write an adapter.

    The file appears at once under its name; a caller that needs it whole or
    not at all writes to a temporary path and renames.

    Args:
        path (str | Path): Where to.
        adapter (dict[str, Tensor]): LoRA keys; may be empty.
        metadata (dict): What JSON can hold, such as the scaling and the
            fingerprint of the base.

    Raises:
        OSError: If it cannot be written.
        TypeError: If the metadata is not JSON.
    """
    # save() refuses views and shared storage, hence the clones.
    tensors = {
        key: value.detach().cpu().clone().contiguous()
        for key, value in adapter.items()
    }
    Path(path).write_bytes(
        save(tensors, metadata={_KEY: json.dumps(metadata)}))


def load_adapter(path):
    """Read an adapter written by :func:`save_adapter`.

    Args:
        path (str | Path): The file.

    Returns:
        tuple[dict[str, Tensor], dict]: CPU tensors and the metadata.

    Raises:
        ValueError: If the file is missing or no adapter of this package.
    """
    if not Path(path).is_file():
        raise ValueError(f'adapter {path} does not exist')
    try:
        with safe_open(str(path), framework='pt', device='cpu') as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {k: file.get_tensor(k).clone() for k in file.keys()}
    except Exception as err:  # damaged headers raise all sorts
        reason = (str(err).splitlines() or [type(err).__name__])[0][:120]
        raise ValueError(
            f'{path} is no safetensors adapter ({reason})') from err
    try:
        metadata = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise ValueError(f'{path} is a safetensors file without the metadata '
                         f'{_KEY!r}, not an adapter of this package')
    fault = _fault_of(tensors, metadata)
    if fault:
        raise ValueError(f'{path} is no adapter that can be used: {fault}')
    return tensors, metadata


def _fault_of(tensors, metadata):
    """What is wrong with the content of an adapter; None if nothing is."""
    for key, kinds in _TYPES.items():
        value = metadata.get(key)
        if value is not None and not isinstance(value, kinds):
            return f'{key} in its metadata is a {type(value).__name__}'
    for key in ('scaling', 'rank'):
        value = metadata.get(key)
        numbers = value.values() if isinstance(value, dict) else [value or 0]
        if not all(map(_is_finite, numbers)):
            return f'{key} in its metadata is no finite number'
    for key in ('classes', 'forgotten', 'zero_groups'):
        if not all(isinstance(v, str) for v in metadata.get(key) or ()):
            return f'{key} in its metadata are no names'
    for key, value in tensors.items():
        if value.dtype in _FLOATS and not value.isfinite().all():
            return f'{key} holds values that are not finite'
    return None


def _is_finite(number):
    # Beyond the largest float it would become infinite.
    return isinstance(number, (int, float)) and abs(number) < 1e300
