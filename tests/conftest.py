"""What tests change in the process that they share."""
import pytest
import torch
from mmengine.registry import DefaultScope

_BEFORE = dict(DefaultScope._instance_dict)


@pytest.fixture(scope='module', autouse=True)
def _default_scope():
    """Every file begins without one, whatever ran before it.

    Runs, which are shared by many files, are made inside any of them: what
    comes back is not what a file found.
    """
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(_BEFORE)


@pytest.fixture(scope='module', autouse=True)
def _matrix_products():
    """Tools choose who multiplies matrices for the rest of their process."""
    setting = getattr(torch.backends.mkldnn, 'matmul', None)
    before = getattr(setting, 'fp32_precision', None)
    flash = torch.backends.cuda.flash_sdp_enabled()
    yield
    torch.backends.cuda.enable_flash_sdp(flash)
    if before is not None:
        setting.fp32_precision = before
