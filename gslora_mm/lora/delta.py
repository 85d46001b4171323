"""The weight change of one LoRA pair, the same for modules and files."""
import torch


def low_rank_delta(lora_A, lora_B, scaling):
    """Return ``scaling * lora_B @ lora_A``.

    In single precision on a CPU, where adapters are merged into files, the
    ranks are added one after the other, each as a fused multiply and add:
    the same bits on every machine, whatever library multiplies matrices
    there, so that a merged checkpoint can be made again exactly.

    Args:
        lora_A (Tensor): Shape (rank, in).
        lora_B (Tensor): Shape (out, rank).
        scaling (float): alpha / rank.

    Returns:
        Tensor: Shape (out, in).
    """
    pair = (lora_A, lora_B)
    learns = torch.is_grad_enabled() and any(m.requires_grad for m in pair)
    if learns or any(m.dtype != torch.float32 or m.device.type != 'cpu'
                     for m in pair):
        return (lora_B @ lora_A) * scaling
    return _fused_product(lora_B, lora_A) * scaling


def _fused_product(left, right):
    """``left @ right``, in an order that no library chooses."""
    total = left.new_zeros(left.shape[0], right.shape[1])
    for column, row in zip(left.t().double(), right.double()):
        # In double precision the product of two single numbers is exact.
        total = torch.addr(total.double(), column, row).float()
    return total


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
