"""Classifier configs change the default scope of the whole process."""
import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def _default_scope():
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)
