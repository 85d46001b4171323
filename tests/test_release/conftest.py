"""The finished tiny runs of tests/test_engine; copies that may be broken."""
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test_engine'))

import tiny_classifier  # noqa: E402
import tiny_run  # noqa: E402


@pytest.fixture(scope='session')
def detection(tmp_path_factory):
    """Folder of the detector's finished run; releases join its chain."""
    folder = tmp_path_factory.mktemp('detection') / 'run'
    return Path(shutil.copytree(tiny_run.finished_run(), folder))


@pytest.fixture(scope='session')
def classification(tmp_path_factory):
    """Folder of the classifier's finished run; releases join its chain."""
    folder = tmp_path_factory.mktemp('classification') / 'run'
    return Path(shutil.copytree(tiny_classifier.finished_run(), folder))


@pytest.fixture
def copied(classification, tmp_path):
    """A copy of the classifier's run that may be changed."""
    return Path(shutil.copytree(classification, tmp_path / 'run'))
