"""The weight change of one LoRA pair, the same for modules and files."""
import torch


def low_rank_delta(lora_A, lora_B, scaling):
    """Return ``scaling * lora_B @ lora_A``.

    Args:
        lora_A (Tensor): Shape (rank, in).
        lora_B (Tensor): Shape (out, rank).
        scaling (float): alpha / rank.

    Returns:
        Tensor: Shape (out, in).
    """
    return (lora_B @ lora_A) * scaling


def add_delta(weight, delta):
    """Return ``weight + delta``, untouched to the bit where delta is zero.

    Args:
        weight (Tensor): Any shape.
        delta (Tensor): The same shape.

    Returns:
        Tensor: The dtype of ``weight``.
    """
    # A plain sum would turn -0.0 into +0.0 and break "bit-identical".
    changed = (weight + delta).to(weight.dtype)
    return torch.where(delta == 0, weight, changed)
