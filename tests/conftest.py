"""What tests change in the process that they share."""
import os

import pytest
from mmengine.registry import DefaultScope

from gslora_mm.models.cpu_deformable_attention import use_mmcv_attention
from gslora_mm.utils.cpu_matmul import SWITCH

# Runs are compared that were made in this process and by tools in processes of
# their own, to the last bit: all have torch's products of matrices.
os.environ.setdefault(SWITCH, 'torch')

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
def _kernels():
    """Tools choose kernels for the rest of their process."""
    yield
    use_mmcv_attention()
