"""The tools compute deformable attention the fast way."""
from unittest import mock

import pytest
import torch
from tool_calls import call

from gslora_mm.models import cpu_deformable_attention as fast

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason='a GPU has a kernel of its own')


@pytest.fixture
def used(monkeypatch):
    """Counts the calls of our function."""
    monkeypatch.delenv(fast.SWITCH, raising=False)
    counter = mock.Mock(wraps=fast.cpu_deformable_attention)
    monkeypatch.setattr(fast, 'cpu_deformable_attention', counter)
    return counter


def test_test_tool(run, config, used, tmp_path, monkeypatch):
    args = 'test', config, run / 'request_01/merged.pth', '--work-dir'
    assert call(*args, tmp_path / 'fast') is None
    assert used.called
    used.reset_mock()
    monkeypatch.setenv(fast.SWITCH, 'mmcv')
    assert call(*args, tmp_path / 'mmcv') is None
    assert not used.called


def test_train_tool(config, used, tmp_path):
    options = 'forget.requests=[[circle]]', 'train_cfg.max_epochs=1'
    assert call('train', config, '--work-dir', tmp_path / 'run',
                '--cfg-options', *options) is None
    assert any(a.requires_grad for c in used.call_args_list for a in c.args)


def test_pretrain_tool(config, used, tmp_path):
    seen = []

    def train():
        seen.append(getattr(fast.mmcv_module, fast.NAME))
        return torch.nn.Linear(1, 1)

    with mock.patch('mmengine.runner.Runner.from_cfg') as runner:
        runner.return_value.train = train
        assert call('pretrain', config, '--work-dir', tmp_path) is None
    assert seen == [used]


def test_unknown_choice(config, tmp_path, monkeypatch):
    monkeypatch.setenv(fast.SWITCH, 'quick')
    message = call('train', config, '--work-dir', tmp_path / 'run')
    assert message == ('error: GSLORA_CPU_ATTENTION=quick is unknown; set it '
                       "to mmcv for mmcv's own attention, or leave it unset")
