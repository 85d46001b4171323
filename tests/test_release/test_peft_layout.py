"""Adapters in PEFT's layout and back, bit by bit."""
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from gslora_mm.engine.test_checkpoint import load_any_state
from gslora_mm.lora import LoRALinear, load_adapter, save_adapter
from gslora_mm.release import from_peft, to_peft
from gslora_mm.utils import ForgetError

SCALING = {'0': .5, '2.inner': 1.25}


class Net(nn.Sequential):
    """Two linears, one below another module."""

    def __init__(self):
        inner = nn.Module()
        inner.inner = nn.Linear(6, 3)
        inner.forward = inner.inner.forward
        super().__init__(nn.Linear(4, 6), nn.ReLU(), inner)


def adapted():
    """A net, the same with LoRA, its adapter."""
    torch.manual_seed(0)
    plain, net = Net(), Net()
    net.load_state_dict(plain.state_dict())
    net[0] = LoRALinear.from_linear(net[0], rank=2, alpha=1.)
    net[2].inner = LoRALinear.from_linear(net[2].inner, rank=4, alpha=5.)
    net[2].forward = net[2].inner.forward
    adapter = {}
    for name, param in net.named_parameters():
        if 'lora' in name:
            nn.init.normal_(param)
            adapter[name] = param.detach()
    return plain, net, adapter


def written(folder, adapter, **more):
    folder.mkdir()
    save_adapter(folder / 'adapter.safetensors', adapter,
                 dict(scaling=SCALING, classes=['ä'], **more))
    return folder


def tensors_of(path):
    with safe_open(str(path), framework='pt') as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def test_round_trip_of_a_request(classification, tmp_path):
    request = classification / 'request_02'
    to_peft(request, tmp_path / 'peft')
    from_peft(tmp_path / 'peft', tmp_path / 'back')
    for name in ('adapter.safetensors', 'adapter.json'):
        assert (tmp_path / 'back' / name).read_bytes() == (request /
                                                           name).read_bytes()


def test_layout(tmp_path):
    _, _, adapter = adapted()
    to_peft(written(tmp_path / 'ours', adapter), tmp_path / 'peft')
    found = tensors_of(tmp_path / 'peft/adapter_model.safetensors')
    assert found.keys() == {
        f'base_model.model.{key}.weight'
        for key in adapter
    }
    for key, tensor in adapter.items():
        assert torch.equal(found[f'base_model.model.{key}.weight'], tensor)
    config = json.loads((tmp_path / 'peft/adapter_config.json').read_text())
    assert config['peft_type'] == 'LORA'
    assert (config['r'], config['lora_alpha']) in ((2, 1), (4, 5))
    assert config['target_modules'] == ['0', '2.inner']
    assert config['use_rslora'] is False and config['bias'] == 'none'
    assert len(config['rank_pattern']) == len(config['alpha_pattern']) == 1


def test_a_matrix_alone_survives(tmp_path):
    _, _, adapter = adapted()
    del adapter['0.lora_B']
    ours = written(tmp_path / 'ours', adapter)
    to_peft(ours, tmp_path / 'peft')
    assert len(tensors_of(tmp_path / 'peft/adapter_model.safetensors')) == 2
    from_peft(tmp_path / 'peft', tmp_path / 'back')
    one, two = (
        load_adapter(f / 'adapter.safetensors')
        for f in (ours, tmp_path / 'back'))
    assert one[1] == two[1] and one[0].keys() == two[0].keys()
    assert all(torch.equal(one[0][k], two[0][k]) for k in one[0])


def test_an_adapter_of_peft_is_merged_as_it_says(tmp_path):
    """One that knows nothing of us: rsLoRA, a pattern."""
    plain, _, adapter = adapted()
    folder = tmp_path / 'peft'
    folder.mkdir()
    save_file({
        f'base_model.model.{k}.weight': v
        for k, v in adapter.items()
    }, folder / 'adapter_model.safetensors')
    config = dict(peft_type='LORA', r=2, lora_alpha=3, use_rslora=True,
                  rank_pattern={'inner': 4}, alpha_pattern={'inner': 7},
                  target_modules=['0', 'inner'])  # yapf: disable
    (folder / 'adapter_config.json').write_text(json.dumps(config))
    from_peft(folder, tmp_path / 'ours')
    torch.save(plain.state_dict(), tmp_path / 'base.pth')
    merged, _ = load_any_state(tmp_path / 'base.pth',
                               tmp_path / 'ours/adapter.safetensors')
    for layer, scaling in (('0', 3 / 2**.5), ('2.inner', 7 / 4**.5)):
        delta = adapter[f'{layer}.lora_B'] @ adapter[f'{layer}.lora_A']
        torch.testing.assert_close(
            merged[f'{layer}.weight'],
            plain.state_dict()[f'{layer}.weight'] + scaling * delta)


@pytest.mark.parametrize('change, message', [
    (dict(peft_type='IA3'), 'no config of a LoRA adapter'),
    (dict(use_dora=True), 'use_dora=True'),
    (dict(bias='all'), "bias='all'"),
    (dict(lora_alpha='x', gslora_mm=None, alpha_pattern={}),
     'no number lora_alpha'),
    (dict(gslora_mm=None, alpha_pattern={'(': 3}), 'is no pattern'),
])  # yapf: disable
def test_what_is_no_plain_lora(tmp_path, change, message):
    _, _, adapter = adapted()
    to_peft(written(tmp_path / 'ours', adapter), tmp_path / 'peft')
    path = tmp_path / 'peft/adapter_config.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ForgetError, match=message):
        from_peft(tmp_path / 'peft', tmp_path / 'back')
    assert not (tmp_path / 'back').exists()


def test_nothing_is_replaced(tmp_path):
    _, _, adapter = adapted()
    to_peft(written(tmp_path / 'ours', adapter), tmp_path / 'peft')
    with pytest.raises(ForgetError, match='is there already'):
        to_peft(tmp_path / 'ours', tmp_path / 'peft')
    with pytest.raises(ForgetError, match='is there already'):
        from_peft(tmp_path / 'peft', tmp_path / 'ours')
    with pytest.raises(ForgetError, match='does not exist'):
        to_peft(tmp_path / 'peft', tmp_path / 'other')


def test_peft_computes_what_the_layer_computes(tmp_path):
    """Only where the real library is there."""
    peft = pytest.importorskip('peft')
    plain, net, adapter = adapted()
    to_peft(written(tmp_path / 'ours', adapter), tmp_path / 'peft')
    images = torch.randn(5, 4)
    before = plain(images)
    model = peft.PeftModel.from_pretrained(plain, str(tmp_path / 'peft'))
    plain[2].forward = plain[2].inner.forward
    with torch.no_grad():
        torch.testing.assert_close(model(images), net(images))
        assert not torch.allclose(net(images), before)
    model.save_pretrained(str(tmp_path / 'saved'))
    from_peft(tmp_path / 'saved', tmp_path / 'back')
    found, about = load_adapter(tmp_path / 'back/adapter.safetensors')
    assert all(torch.equal(found[k], v) for k, v in adapter.items())
    assert about['scaling'] == pytest.approx(SCALING)
