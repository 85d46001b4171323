"""Rounded and quantised copies of a model."""
import numpy as np
import pytest
import torch
from mmcv.cnn.bricks.wrappers import Linear as MMCVLinear
from torch import nn

from gslora_mm.release import Precision, precision_file
from gslora_mm.utils import ForgetError


class Toy(nn.Module):
    """Linears that are called, shared, of mmcv, and read only."""

    def __init__(self):
        super().__init__()
        self.first, self.mmcv = nn.Linear(8, 8), MMCVLinear(8, 8)
        self.again = nn.ModuleList([self.first])
        self.read = nn.Linear(8, 8, bias=False)
        self.register_buffer('mean', torch.rand(8))
        self.register_buffer('steps', torch.tensor(3))

    def test_step(self, batch):
        x = torch.stack(batch['inputs'])
        x = self.again[0](self.mmcv(self.first(x) + self.mean))
        return x @ self.read.weight.t()


DATA = [dict(inputs=torch.full((8, ), i / 10)) for i in range(5)]


def made(name):
    torch.manual_seed(0)
    model, precision = Toy(), Precision(name)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    precision(model, DATA)
    return model, before, precision


def test_fp16():
    model, before, precision = made('fp16')
    for key, value in model.state_dict().items():
        expected = before[key].numpy()
        if key != 'steps':
            expected = expected.astype(np.float16).astype(np.float32)
            assert (expected != before[key].numpy()).any()
        assert np.array_equal(value.numpy(), expected), key
        assert value.dtype == before[key].dtype
    assert precision.report == dict(name='fp16', computed='fp32')


def test_bf16_keeps_eight_bits():
    model, before, _ = made('bf16')
    bits = model.first.weight.detach().numpy().view(np.int32)
    assert not (bits & 0xffff).any()
    gap = (model.first.weight - before['first.weight']).abs()
    assert (gap <= before['first.weight'].abs() / 256).all()


def test_fp32_changes_nothing():
    model, before, precision = made('fp32')
    assert all(
        torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert precision.plain


def test_int8():
    model, before, precision = made('int8')
    report = precision.report
    assert (report['linears'], report['quantised']) == (3, 2)
    assert report['left_out'] == ['read']
    assert model.again[0] is model.first
    for name in ('first', 'mmcv'):
        layer = getattr(model, name)
        found, weight = layer.weight().dequantize(), before[f'{name}.weight']
        # 8 bits over the range of the whole matrix.
        step = weight.abs().max() / 127
        assert (found - weight).abs().max() <= step
        assert len(found.unique()) <= 256
    assert isinstance(model.read, nn.Linear)
    batch = dict(inputs=[d['inputs'] for d in DATA])
    torch.manual_seed(0)
    gap = (model.test_step(batch) - Toy().test_step(batch)).abs().max()
    assert 0 < gap < .1


def test_a_weight_that_is_too_large():
    model = Toy()
    model.first.weight.data[0, 0] = 1e6
    with pytest.raises(ForgetError, match='first.weight .* too large'):
        Precision('fp16')(model, DATA)


def test_unknown():
    with pytest.raises(ForgetError, match="'int4' is unknown"):
        Precision('int4')


def test_file(tmp_path):
    assert precision_file(None, 'logs', 'fp32') == 'logs/test.json'
    assert precision_file(None, 'logs', 'int8') == 'logs/test_int8.json'
    assert precision_file('x.json', 'logs', 'fp16') == 'x.json'
    with pytest.raises(ForgetError, match='numbers of the run itself'):
        precision_file('request_01/metrics.json', 'logs', 'int8')
