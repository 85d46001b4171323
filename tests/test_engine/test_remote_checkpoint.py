"""Checkpoints behind a URL are untrusted input as well."""
import functools
import http.server
import pickle
import threading

import pytest
import torch

from gslora_mm.engine.checkpoints import load_plain_state
from gslora_mm.utils import ForgetError


class _Code:
    """Unpickling it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, 'w')


class _Quiet(http.server.SimpleHTTPRequestHandler):

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def url(tmp_path, monkeypatch):
    """Address of a server for a folder, and the folder."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    folder = tmp_path / 'served'
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(_Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}', folder
    server.shutdown()
    server.server_close()


def test_weights_are_fetched_once(url):
    address, folder = url
    torch.save(dict(state_dict=dict(a=torch.ones(2))), folder / 'a.pth')
    state, _ = load_plain_state(f'{address}/a.pth')
    assert torch.equal(state['a'], torch.ones(2))
    (folder / 'a.pth').unlink()
    state, _ = load_plain_state(f'{address}/a.pth')
    assert torch.equal(state['a'], torch.ones(2))


def test_code_is_not_run(url, tmp_path):
    address, folder = url
    trace = tmp_path / 'was-run'
    (folder / 'bad.pth').write_bytes(pickle.dumps(_Code(str(trace))))
    with pytest.raises(ForgetError, match='can be read safely'):
        load_plain_state(f'{address}/bad.pth')
    assert not trace.exists()


def test_nothing_there(url):
    address, _ = url
    with pytest.raises(ForgetError, match='download it by hand'):
        load_plain_state(f'{address}/gone.pth')


def test_unknown_scheme():
    with pytest.raises(ForgetError, match='cannot be fetched'):
        load_plain_state('nowhere://model.pth')
