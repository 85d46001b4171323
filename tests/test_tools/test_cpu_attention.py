"""The tools compute attention and products of matrices the fast way."""
from unittest import mock

import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention
from tool_calls import call

from gslora_mm.models import cpu_deformable_attention as fast
from gslora_mm.utils.cpu_matmul import use_onednn_matmul

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason='a GPU has a kernel of its own')


@pytest.fixture
def used(monkeypatch):
    """Counts the calls of our forward."""
    monkeypatch.delenv(fast.SWITCH, raising=False)
    counter, forward = mock.Mock(), fast.cpu_forward

    def counted(self, *args, **kwargs):
        out = forward(self, *args, **kwargs)
        counter(out.requires_grad)
        return out

    counter.forward = counted
    monkeypatch.setattr(fast, 'cpu_forward', counted)
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
    assert mock.call(True) in used.call_args_list


def test_pretrain_tool(config, used, tmp_path):
    seen = []

    def train():
        seen.append(MultiScaleDeformableAttention.forward)
        return torch.nn.Linear(1, 1)

    with mock.patch('mmengine.runner.Runner.from_cfg') as runner:
        runner.return_value.train = train
        assert call('pretrain', config, '--work-dir', tmp_path) is None
    assert seen == [used.forward]


def test_unknown_choice(config, tmp_path, monkeypatch):
    monkeypatch.setenv(fast.SWITCH, 'quick')
    message = call('train', config, '--work-dir', tmp_path / 'run')
    assert message == ('error: GSLORA_CPU_ATTENTION=quick is unknown; set it '
                       "to mmcv for mmcv's own attention, or leave it unset")


@pytest.fixture
def products():
    """Who multiplies matrices, as it was before."""
    setting = torch.backends.mkldnn.matmul
    before = setting.fp32_precision
    flash = torch.backends.cuda.flash_sdp_enabled()
    yield lambda: setting.fp32_precision
    setting.fp32_precision = before
    torch.backends.cuda.enable_flash_sdp(flash)


@pytest.mark.skipif(
    not hasattr(
        getattr(torch.backends.mkldnn, 'matmul', None), 'fp32_precision'),
    reason='this torch cannot be told who multiplies')
def test_matrix_products(config, products, tmp_path, monkeypatch):
    """oneDNN trains as torch does, but for rounding."""
    options = 'forget.requests=[[circle]]', 'train_cfg.max_epochs=1'
    merged = {}
    for name in ('torch', 'auto'):
        monkeypatch.setenv('GSLORA_CPU_MATMUL', name)
        assert call('train', config, '--work-dir', tmp_path / name,
                    '--cfg-options', *options) is None
        merged[name] = torch.load(tmp_path / name /
                                  'request_01/merged.pth')['state_dict']
    # Left in use by the second call, where it stays exact.
    assert (products() == 'bf16') is use_onednn_matmul()
    for key, value in merged['torch'].items():
        torch.testing.assert_close(
            merged['auto'][key], value, rtol=1e-3, atol=1e-3)


def test_unknown_products(config, tmp_path, monkeypatch):
    monkeypatch.setenv('GSLORA_CPU_MATMUL', 'mkl')
    message = call('train', config, '--work-dir', tmp_path / 'run')
    assert message == ('error: GSLORA_CPU_MATMUL=mkl is unknown; set it to '
                       'one of auto, torch, or not at all')
