"""The tiny run of tests/test_engine, and ways to break it."""
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test_engine'))

import tiny_run  # noqa: E402


@pytest.fixture(scope='session')
def base():
    """The base checkpoint of the tiny run."""
    return tiny_run.base_checkpoint()


@pytest.fixture(scope='session')
def config():
    """The config of the tiny run."""
    return tiny_run.tiny_config()


@pytest.fixture(scope='session')
def run():
    """Folder of the finished tiny run; read only."""
    return tiny_run.finished_run()


@pytest.fixture
def half(run, tmp_path):
    """A copy of the run whose second request has not begun."""
    copy = tmp_path / 'half'
    shutil.copytree(run, copy)
    shutil.rmtree(copy / 'request_02')
    return copy


@pytest.fixture
def own_data(run, tmp_path):
    """A copy of the data that may be damaged, and a config for it."""
    root = tmp_path / 'own'
    shutil.copytree(tiny_run.shared_folder() / 'shapes', root)
    return SimpleNamespace(
        root=root,
        config=tiny_run.write_config(tmp_path / 'own.py', data_root=str(root)))
