"""oneDNN multiplies matrices where it keeps single precision."""
import pytest
import torch

from gslora_mm.utils import ForgetError, cpu_matmul
from gslora_mm.utils.cpu_matmul import SWITCH, is_exact, use_onednn_matmul

matmul = getattr(torch.backends.mkldnn, 'matmul', None)
can_tell = pytest.mark.skipif(
    not hasattr(matmul, 'fp32_precision') or torch.cuda.is_available(),
    reason='this torch cannot be told, or there is a GPU')


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """The process as it was."""
    monkeypatch.delenv(SWITCH, raising=False)
    if not hasattr(matmul, 'fp32_precision'):
        yield
        return
    before = matmul.fp32_precision, torch.backends.cuda.flash_sdp_enabled()
    matmul.fp32_precision = 'ieee'
    torch.backends.cuda.enable_flash_sdp(True)
    yield
    matmul.fp32_precision = before[0]
    torch.backends.cuda.enable_flash_sdp(before[1])


def rounded(values, bits):
    """Values with that many bits, as units of shorter formats read them."""
    mantissa, exponent = torch.frexp(values)
    return torch.ldexp((mantissa * 2**bits).round() / 2**bits, exponent)


@pytest.mark.parametrize('bits, exact', [(8, False), (11, False), (24, True)])
def test_exactness(bits, exact):
    """bfloat16, tf32 and float16, float32."""

    def multiply(left, right):
        return rounded(left, bits) @ rounded(right, bits)

    assert is_exact((multiply, )) is exact
    assert rounded(torch.tensor([1 / 3]),
                   8) == torch.tensor([1 / 3]).bfloat16().float()


def test_default_is_exact():
    assert is_exact()


@can_tell
def test_precision_is_kept():
    """What is in use after the call differs from double as float32 does."""
    use_onednn_matmul()
    generator = torch.Generator().manual_seed(1)
    left = torch.rand(300, 200, generator=generator)
    right = torch.rand(200, 100, generator=generator)
    expected = left.double() @ right.double()
    assert ((left @ right - expected) / expected).abs().max() < 1e-6


@can_tell
def test_left_alone_where_not_exact(monkeypatch):
    monkeypatch.setattr(cpu_matmul, 'is_exact', lambda: False)
    assert use_onednn_matmul() is False
    assert matmul.fp32_precision == 'ieee'
    assert torch.backends.cuda.flash_sdp_enabled()


@can_tell
def test_switch(monkeypatch):
    monkeypatch.setenv(SWITCH, 'torch')
    assert use_onednn_matmul() is False
    assert matmul.fp32_precision == 'ieee'
    monkeypatch.setenv(SWITCH, 'auto')
    matmul.fp32_precision = 'bf16'
    exact = is_exact()
    matmul.fp32_precision = 'ieee'
    used = use_onednn_matmul()
    assert used is (exact and torch.backends.mkldnn.is_available())
    assert matmul.fp32_precision == ('bf16' if used else 'ieee')
    assert torch.backends.cuda.flash_sdp_enabled() is not used
    monkeypatch.setenv(SWITCH, 'mkl')
    with pytest.raises(ForgetError, match=f'{SWITCH}=mkl is unknown'):
        use_onednn_matmul()
