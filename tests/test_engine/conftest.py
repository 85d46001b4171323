"""One finished run for all tests."""
import pytest
from tiny_run import base_checkpoint, finished_run, tiny_config


@pytest.fixture(scope='session')
def base():
    """The base checkpoint of the tiny run."""
    return base_checkpoint()


@pytest.fixture(scope='session')
def config():
    """The config of the tiny run."""
    return tiny_config()


@pytest.fixture(scope='session')
def run():
    """Folder of the finished tiny run; read only."""
    return finished_run()
