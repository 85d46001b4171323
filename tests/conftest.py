"""Reading a config changes the default scope of the whole process."""
import pytest
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
