"""Base, adapter and merged state dicts: pure functions, no model needed.

A state dict of a model with LoRA is the plain model's (the *base*) plus the
keys ``<layer>.lora_A`` and ``<layer>.lora_B`` (the *adapter*).
"""
import hashlib

import torch

from .delta import add_delta, low_rank_delta

_LORA = ('lora_A', 'lora_B')


def is_lora_key(key):
    """Whether a state dict key is one of LoRA's.

    Args:
        key (str): State dict key.

    Returns:
        bool: True for ``lora_A`` and ``lora_B`` of any layer.
    """
    return key.rpartition('.')[2] in _LORA


def split_state_dict(state):
    """Split a state dict into that of the plain model and the adapter.

    Args:
        state (dict[str, Tensor]): State dict of a model with LoRA.

    Returns:
        tuple[dict, dict]: Base and adapter, sharing the tensors.
    """
    base = {k: v for k, v in state.items() if not is_lora_key(k)}
    adapter = {k: v for k, v in state.items() if is_lora_key(k)}
    return base, adapter


@torch.no_grad()
def merge_state_dict(base, adapter, scaling, base_fingerprint=None):
    """Add an adapter to the base it belongs to.

    Args:
        base (dict[str, Tensor]): Plain state dict; it is not modified.
        adapter (dict[str, Tensor]): LoRA keys. A layer that lacks A or B, or
            both, belongs to a zero group and does not change.
        scaling (float | dict[str, float]): alpha / rank, for all layers or
            per layer name.
        base_fingerprint (str, optional): :func:`fingerprint` of the base
            that the adapter was trained on.

    Returns:
        dict[str, Tensor]: Plain keys in the order of ``base``. Tensors that
        do not change are the very tensors of ``base``.

    Raises:
        ValueError: If the base is another one or merged already, if it holds
            LoRA keys, or if the adapter does not fit it.
    """
    _check_base(base, base_fingerprint)
    merged = dict(base)
    for prefix in _layer_prefixes(adapter):
        lora_A, lora_B = (adapter.get(prefix + name) for name in _LORA)
        weight = _checked_weight(base, prefix, lora_A, lora_B)
        if lora_A is None or lora_B is None:
            continue
        delta = low_rank_delta(
            lora_A.to(weight.device), lora_B.to(weight.device),
            _scaling_of(scaling, prefix[:-1]))
        if delta.any():
            merged[prefix + 'weight'] = add_delta(weight, delta)
    return merged


def _check_base(base, expected):
    present = [key for key in base if is_lora_key(key)]
    if present:
        raise ValueError(f'the base already holds LoRA keys ({present[0]} and '
                         f'{len(present) - 1} more); split it first with '
                         'split_state_dict')
    if expected is not None and fingerprint(base) != expected:
        raise ValueError('the adapter belongs to another base, or it is '
                         'merged into this one already; give the base that '
                         'it was trained on')


def _layer_prefixes(adapter):
    for key in adapter:
        if not is_lora_key(key):
            raise ValueError(f'{key} in the adapter is no LoRA key')
    return dict.fromkeys(key[:-len('lora_A')] for key in adapter)


def _checked_weight(base, prefix, lora_A, lora_B):
    weight = base.get(prefix + 'weight')
    if weight is None:
        raise ValueError(f'the adapter has LoRA for {prefix[:-1]!r}, a layer '
                         'that is not in the base: another architecture')
    shapes = {
        k: tuple(t.shape)
        for k, t in zip(_LORA, (lora_A, lora_B)) if t is not None
    }
    floats = all(t.is_floating_point() and t.element_size() > 1
                 for t in (weight, lora_A, lora_B) if t is not None)
    fits = floats and weight.ndim == 2 and all(
        len(s) == 2 for s in shapes.values())
    if fits and lora_A is not None:
        fits = lora_A.shape[1] == weight.shape[1]
    if fits and lora_B is not None:
        fits = lora_B.shape[0] == weight.shape[0]
    if fits and len(shapes) == 2:
        fits = lora_A.shape[0] == lora_B.shape[1]
    if not fits:
        raise ValueError(f'the shapes {shapes} of the adapter do not fit '
                         f'{prefix}weight of shape {tuple(weight.shape)}')
    return weight


def _scaling_of(scaling, layer):
    if not isinstance(scaling, dict):
        return scaling
    if layer not in scaling:
        raise ValueError(f'no scaling is given for layer {layer!r}')
    return scaling[layer]


def tensor_digests(state):
    """Digest every tensor of a state dict.

    Args:
        state (dict): State dict; entries that are no tensors are skipped.

    Returns:
        dict[str, str]: SHA-256 in hex of dtype, shape and bytes, by key. Two
        tensors have the same digest only if they are the same to the bit.
    """
    return {
        key: _digest(value)
        for key, value in state.items() if torch.is_tensor(value)
    }


def _digest(tensor):
    flat = tensor.detach().cpu().reshape(-1).contiguous()
    digest = hashlib.sha256(f'{tensor.dtype}{tuple(tensor.shape)}'.encode())
    # numpy has no bfloat16, so every dtype goes through its bytes.
    digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()


def fingerprint(state):
    """Digest a model without its LoRA, whatever the order of the keys.

    Args:
        state (dict): State dict, with or without LoRA keys.

    Returns:
        str: SHA-256 in hex over name, dtype, shape and bytes of all others.
    """
    digests = tensor_digests(split_state_dict(state)[0])
    lines = (f'{key}\0{digests[key]}\n' for key in sorted(digests))
    return hashlib.sha256(''.join(lines).encode()).hexdigest()


def drop_zero_groups(adapter, groups):
    """Leave out of an adapter the groups that are zero.

    Args:
        adapter (dict[str, Tensor]): LoRA keys.
        groups (dict[str, list[str]]): Adapter keys of each group
            (:meth:`LoRAGroups.keys`); absent keys count as zero.

    Returns:
        dict[str, Tensor]: The adapter without groups zero in every entry.
    """
    dropped = set()
    for keys in groups.values():
        if not any(bool(adapter[k].any()) for k in keys if k in adapter):
            dropped.update(keys)
    return {k: v for k, v in adapter.items() if k not in dropped}
