"""The finished run of a classifier, and copies of it to harm."""
import shutil
import sys
from pathlib import Path

import pytest

for folder in ('test_engine', 'test_tools'):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))

import tiny_classifier  # noqa: E402


@pytest.fixture(scope='session')
def run():
    """Folder of the finished run; read only."""
    return tiny_classifier.finished_run()


@pytest.fixture(scope='session')
def config():
    """The config of the run."""
    return tiny_classifier.tiny_config()


@pytest.fixture(scope='session')
def base():
    """The base checkpoint of the run."""
    return tiny_classifier.base_checkpoint()


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run."""
    return Path(shutil.copytree(run, tmp_path / 'run'))
