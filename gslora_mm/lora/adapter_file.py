"""Adapters on disk: safetensors, which cannot run code when loaded."""
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

_KEY = 'gslora_mm'


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
    except (SafetensorError, OSError) as err:
        reason = str(err).splitlines()[0]
        raise ValueError(
            f'{path} is no safetensors adapter ({reason})') from err
    try:
        metadata = json.loads(text)
    except (TypeError, ValueError):
        metadata = None
    if not isinstance(metadata, dict):
        raise ValueError(f'{path} is a safetensors file without the metadata '
                         f'{_KEY!r}, not an adapter of this package')
    return tensors, metadata
