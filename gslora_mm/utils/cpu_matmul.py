"""Which library multiplies matrices on a CPU."""
import os

import torch
from torch.nn import functional

from .errors import ForgetError

SWITCH = 'GSLORA_CPU_MATMUL'
CHOICES = ('auto', 'torch')


def use_onednn_matmul():
    """Let oneDNN multiply matrices on the CPU, where it stays exact.

    On x86 torch gives products of single precision to MKL, which leaves the
    wide registers of other vendors' processors idle; there oneDNN takes half
    the time. torch hands them to oneDNN only if half the precision is
    allowed (``torch.backends.mkldnn.matmul.fp32_precision``), which oneDNN
    makes use of on processors with matrix units for it. Where products are
    not exact any more (:func:`is_exact`), everything is left as it was.

    Attention is then computed by whole products: torch's flash attention
    multiplies small blocks one by one, which are dear to hand over.

    The environment variable ``GSLORA_CPU_MATMUL=torch`` forbids it. Nothing
    is done where there is a GPU, nor with a torch that cannot be told.

    Returns:
        bool: Whether oneDNN is in use.

    Raises:
        ForgetError: If the variable says something else.
    """
    wanted = os.environ.get(SWITCH, CHOICES[0])
    if wanted not in CHOICES:
        raise ForgetError(f'{SWITCH}={wanted} is unknown; set it to one of '
                          f'{", ".join(CHOICES)}, or not at all')
    setting = getattr(torch.backends.mkldnn, 'matmul', None)
    if (wanted == 'torch' or torch.cuda.is_available()
            or not torch.backends.mkldnn.is_available()
            or not hasattr(setting, 'fp32_precision')):
        return False
    before = setting.fp32_precision
    try:
        setting.fp32_precision = 'bf16'
    except RuntimeError:
        # This build of torch or this processor refuses.
        return False
    if is_exact():
        # The switch of the CPU's flash attention as well.
        torch.backends.cuda.enable_flash_sdp(False)
        return True
    setting.fp32_precision = before
    return False


def _batched(left, right):
    return (torch.stack([left] * 2) @ torch.stack([right] * 2))[1]


_PRODUCTS = (torch.matmul, _batched, lambda left, right: torch.addmm(
    left.new_zeros(right.shape[1]), left, right),
             lambda left, right: functional.linear(left,
                                                   right.t().clone()))


@torch.no_grad()
def is_exact(products=_PRODUCTS):
    """Whether products of matrices keep single precision.

    One factor holds whole numbers of 18 bits, more than any shorter format
    does, the other 1 and -1, and every partial sum is below 2**24: a product
    in single precision is exact, in any order of summation.

    Args:
        products (tuple[Callable]): Ways to multiply (M, K) and (K, N).

    Returns:
        bool: Whether all of them are exact.
    """
    generator = torch.Generator().manual_seed(0)

    def signs(*shape):
        return 2. * torch.randint(2, shape, generator=generator) - 1

    def numbers(*shape):
        odd = 2 * torch.randint(2**16, 2**17, shape, generator=generator) + 1
        return signs(*shape) * odd

    for rows, inner, columns in ((512, 60, 512), (2048, 32, 64), (64, 60, 8)):
        for first, second in ((numbers, signs), (signs, numbers)):
            left, right = first(rows, inner), second(inner, columns)
            expected = left.double() @ right.double()
            if not all(
                    torch.equal(multiply(left, right).double(), expected)
                    for multiply in products):
                return False
    return True
