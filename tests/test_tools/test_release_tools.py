"""The tools around a release: export, revert, convert, --precision."""
import json
import shutil

import pytest
import tiny_classifier
import torch
from tool_calls import call, error_of

from gslora_mm.analysis import read_requests


@pytest.fixture(scope='module')
def small():
    """The classifier's finished run; read only."""
    return tiny_classifier.finished_run()


@pytest.fixture
def copied(small, tmp_path):
    """A copy of it."""
    return shutil.copytree(small, tmp_path / 'run')


def test_export(copied, capsys):
    assert call('export', copied, '--request', 1, '--images', 2) is None
    printed = capsys.readouterr().out
    path = copied / 'releases/request_01/release.pth'
    report = json.loads(path.with_name('release.json').read_text())
    assert str(path) in printed and report['sha256'] in printed
    assert 'identical to merged.pth' in printed
    assert 'request_01/adapter.safetensors' in printed
    assert call('export', copied, '--list-holders', '--request', 1) is None
    assert 'request_01/adapter.safetensors' in capsys.readouterr().out


def test_revert_and_measure(copied, tmp_path, capsys):
    """The earlier request's numbers, exactly."""
    for path in copied.glob('request_*/merged.pth'):
        path.unlink()
    out = tmp_path / 'first.pth'
    assert call('revert', copied, '--to', 1, '--out', out) is None
    assert 'from base and adapters' in capsys.readouterr().out
    numbers = tmp_path / 'numbers.json'
    assert call('test', tiny_classifier.tiny_config(), out, '--out', numbers,
                '--work-dir', tmp_path / 'logs') is None
    found = json.loads(numbers.read_text())
    expected = json.loads((copied / 'request_01/metrics.json').read_text())
    assert found['classes'] == expected['classes']
    for key, value in expected['top1'].items():
        if not key.endswith('_before'):
            assert found['top1'][key] == value, key


def test_drop(copied, capsys, monkeypatch):
    monkeypatch.setattr('sys.stdin.isatty', lambda: False, raising=False)
    message = error_of('revert', copied, '--to', 1, '--drop')
    assert '--yes' in message and 'request_02' in message
    assert (copied / 'request_02').is_dir()
    assert call('revert', copied, '--to', 1, '--drop', '--yes') is None
    assert not (copied / 'request_02').exists()
    assert len(read_requests(copied)) == 1


def test_convert(small, tmp_path):
    assert call('convert_adapter', 'to-peft', small / 'request_01',
                tmp_path / 'peft') is None
    assert call('convert_adapter', 'from-peft', tmp_path / 'peft',
                tmp_path / 'back') is None
    name = 'adapter.safetensors'
    assert (tmp_path / 'back' / name).read_bytes() == (small / 'request_01' /
                                                       name).read_bytes()


@pytest.mark.parametrize('precision', ['fp16', 'int8'])
def test_precision(small, tmp_path, precision, capsys):
    kept = (small / 'request_02/metrics.json').read_bytes()
    assert call('test', tiny_classifier.tiny_config(),
                small / 'request_02/merged.pth', '--precision', precision,
                '--work-dir', tmp_path) is None
    found = json.loads((tmp_path / f'test_{precision}.json').read_text())
    assert found['precision']['name'] == precision
    assert f'({precision}: ' in capsys.readouterr().out
    assert not (tmp_path / 'test.json').exists()
    assert (small / 'request_02/metrics.json').read_bytes() == kept
    if precision == 'int8':
        # Three blocks of attention (2) and FFN (2), and the head.
        assert found['precision']['quantised'] == 13
        assert found['precision']['left_out'] == []


def test_bad_input(small, copied, tmp_path):
    assert 'does not exist' in error_of('export', tmp_path / 'none')
    assert 'no finished request 7' in error_of('export', small, '--request', 7)
    assert '--images -1' in error_of('export', small, '--images', -1)
    assert 'no finished request 9' in error_of('revert', small, '--to', 9)
    assert 'unknown' in error_of('test', 'c.py', 'x.pth', '--precision', 'x')
    assert 'adapter_config.json' in error_of('convert_adapter', 'from-peft',
                                             tmp_path, tmp_path / 'out')
    path = copied / 'request_01/adapter.safetensors'
    path.write_bytes(path.read_bytes()[:100])
    assert 'safetensors adapter' in error_of('export', copied)
    (copied / 'run.json').write_text('{')
    assert 'damaged' in error_of('export', copied)
    torch.save(dict(state_dict={}), copied / 'request_02/merged.pth')
    assert error_of('revert', copied, '--to', 2, '--out', tmp_path / 'x.pth')
