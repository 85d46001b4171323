"""The finished tiny runs of tests/test_engine; copies that may be broken."""
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test_engine'))

import tiny_classifier  # noqa: E402
import tiny_run  # noqa: E402


@pytest.fixture(scope='session')
def detection():
    """Folder of the detector's finished run; read only."""
    return tiny_run.finished_run()


@pytest.fixture(scope='session')
def classification():
    """Folder of the classifier's finished run; read only."""
    return tiny_classifier.finished_run()


@pytest.fixture
def copied(classification, tmp_path):
    """A copy of the classifier's run that may be changed."""
    return Path(shutil.copytree(classification, tmp_path / 'run'))
