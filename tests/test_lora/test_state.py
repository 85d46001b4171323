import copy
import struct

import pytest
import torch
from lora_toys import ToyDETR, fill_lora
from safetensors.torch import save_file
from torch import nn

from gslora_mm.lora import (LoRAGroups, drop_zero_groups, fingerprint,
                            inject_lora, is_lora_key, load_adapter,
                            lora_layers, merge_state_dict, save_adapter,
                            split_state_dict, tensor_digests)

LAYER = 'encoder.layers.0.ffn.layers.1'


def make():
    torch.manual_seed(0)
    model = ToyDETR()
    inject_lora(model, rank=2, alpha=6.0)
    fill_lora(model)
    return (model, ) + split_state_dict(model.state_dict())


def bits(tensor):
    return tensor.detach().contiguous().view(torch.int32)


def test_keys():
    assert is_lora_key('a.b.lora_A') and is_lora_key('lora_B')
    assert not any(
        map(is_lora_key, ['a.weight', 'lora_A.weight', 'a.xlora_A', '']))


def test_split():
    model, base, adapter = make()
    assert set(base) == set(ToyDETR().state_dict())
    assert set(adapter) == {k for k in model.state_dict() if 'lora_' in k}
    ToyDETR().load_state_dict(base, strict=True)


def test_merge_equals_forward_and_layer_merge():
    model, base, adapter = make()
    x = torch.randn(2, 3, 8)
    expected = model(x)
    before = copy.deepcopy(base)
    merged = merge_state_dict(base, adapter, 3.0)
    assert list(merged) == list(base)
    assert all(torch.equal(base[k], before[k]) for k in base)
    plain = ToyDETR()
    plain.load_state_dict(merged, strict=True)
    torch.testing.assert_close(plain(x), expected)
    for layer in lora_layers(model).values():
        layer.merge()
    own, _ = split_state_dict(model.state_dict())
    assert all(torch.equal(bits(own[k]), bits(merged[k])) for k in merged)


def test_merge_with_scaling_per_layer():
    _, base, adapter = make()
    layers = {k.rpartition('.')[0] for k in adapter}
    scaling = {name: 0.5 * i for i, name in enumerate(sorted(layers))}
    merged = merge_state_dict(base, adapter, scaling)
    for name in layers:
        delta = adapter[f'{name}.lora_B'] @ adapter[f'{name}.lora_A']
        torch.testing.assert_close(
            merged[f'{name}.weight'],
            base[f'{name}.weight'] + scaling[name] * delta)
    del scaling[LAYER]
    with pytest.raises(ValueError, match=f'scaling.*{LAYER}'):
        merge_state_dict(base, adapter, scaling)


def test_zero_layers_keep_every_bit():
    _, base, adapter = make()
    base[f'{LAYER}.weight'][0, 0] = -0.0
    adapter[f'{LAYER}.lora_B'].zero_()
    del adapter['decoder.layers.0.ffn.layers.1.lora_A']
    merged = merge_state_dict(base, adapter, 3.0)
    for key in (LAYER, 'decoder.layers.0.ffn.layers.1'):
        key += '.weight'
        assert torch.equal(bits(merged[key]), bits(base[key]))
    key = 'decoder.layers.1.ffn.layers.1.weight'
    assert not torch.equal(merged[key], base[key])
    assert merge_state_dict(base, {}, 3.0) == base


def test_merge_at_the_root():
    layer = nn.Linear(3, 2)
    adapter = dict(lora_A=torch.ones(1, 3), lora_B=torch.ones(2, 1))
    merged = merge_state_dict(layer.state_dict(), adapter, 2.0)
    torch.testing.assert_close(merged['weight'], layer.weight.data + 2)


def test_adapter_that_does_not_fit():
    _, base, adapter = make()
    with pytest.raises(ValueError, match="'gone.fc'.*not in the base"):
        merge_state_dict(base, {
            **adapter, 'gone.fc.lora_A': torch.ones(2, 8)
        }, 3.0)
    with pytest.raises(ValueError, match='no LoRA key'):
        merge_state_dict(base, base, 3.0)
    wrong = dict(A=[(2, 9), (2, 8), (16, )], B=[(9, 2), (8, 3), (8, )])
    for matrix, shapes in wrong.items():
        for shape in shapes:
            bad = {**adapter, f'{LAYER}.lora_{matrix}': torch.ones(shape)}
            with pytest.raises(ValueError, match=f'{LAYER}.weight'):
                merge_state_dict(base, bad, 3.0)


def test_half_of_a_pair_is_still_checked():
    _, base, adapter = make()
    for matrix in 'AB':
        half = {f'{LAYER}.lora_{matrix}': torch.ones(3, 5)}
        with pytest.raises(ValueError, match='do not fit'):
            merge_state_dict(base, half, 3.0)


def test_double_merge_is_refused():
    model, base, adapter = make()
    mark = fingerprint(base)
    merged = merge_state_dict(base, adapter, 3.0, mark)
    with pytest.raises(ValueError, match='another base.*already'):
        merge_state_dict(merged, adapter, 3.0, mark)
    with pytest.raises(ValueError, match='already'):
        merge_state_dict(model.state_dict(), adapter, 3.0)


def test_fingerprint():
    model, base, adapter = make()
    mark = fingerprint(base)
    assert len(mark) == 64 and mark == fingerprint(model.state_dict())
    assert mark == fingerprint(dict(reversed(list(base.items()))))
    assert mark == fingerprint(copy.deepcopy(base))
    key = f'{LAYER}.weight'

    def with_weight(weight):
        return fingerprint({**base, key: weight})

    assert with_weight(base[key].clone()) == mark
    assert with_weight(base[key].t().contiguous().t()) == mark
    assert with_weight(base[key].reshape(16, 8)) != mark
    assert with_weight(base[key].view(torch.int32)) != mark
    flipped = base[key].clone()
    flipped[0, 0] = torch.nextafter(flipped[0, 0], torch.tensor(9.0))
    assert with_weight(flipped) != mark
    renamed = {('x' if k == key else k): v for k, v in base.items()}
    assert fingerprint(renamed) != mark


def test_digests():
    tensors = dict(
        half=torch.ones(3, dtype=torch.bfloat16),
        scalar=torch.tensor(3),
        empty=torch.zeros(0, 2),
        flag=torch.tensor([True]),
        zero=torch.zeros(1),
        minus=-torch.zeros(1))
    digests = tensor_digests({**tensors, 'version': 3})
    assert set(digests) == set(tensors)
    assert len(set(digests.values())) == len(tensors)
    assert digests == tensor_digests(copy.deepcopy(tensors))
    assert 'a.lora_A' in tensor_digests({'a.lora_A': torch.ones(1)})


def test_proof_that_zero_groups_are_untouched():
    model, base, _ = make()
    groups = LoRAGroups(model)
    for param in groups.parameters(1):
        nn.init.zeros_(param)
    _, adapter = split_state_dict(model.state_dict())
    merged = merge_state_dict(base, adapter, 3.0)
    before, after = tensor_digests(base), tensor_digests(merged)
    changed = {k for k in before if before[k] != after[k]}
    assert changed == {
        f'{name}.weight'
        for i in (0, 2, 3)
        for name in groups.layers(i)
    }


@pytest.mark.parametrize('by', ['block', 'lora', 'matrix'])
def test_drop_zero_groups(by):
    model, base, _ = make()
    groups = LoRAGroups(model, by)
    for param in groups.parameters(1):
        nn.init.zeros_(param)
    groups.parameters(0)[0].data.zero_()
    _, adapter = split_state_dict(model.state_dict())
    keys = {groups.names[i]: groups.keys(i) for i in range(len(groups))}
    small = drop_zero_groups(adapter, keys)
    zero = {1} | ({0} if by == 'matrix' else set())
    dropped = {k for i in zero for k in groups.keys(i)}
    assert set(adapter) - set(small) == dropped
    full = merge_state_dict(base, adapter, 3.0)
    slim = merge_state_dict(base, small, 3.0)
    assert all(torch.equal(bits(full[k]), bits(slim[k])) for k in full)
    assert drop_zero_groups(small, keys) == small


def test_adapter_file(tmp_path):
    model, _, adapter = make()
    shared = adapter[f'{LAYER}.lora_A']
    adapter[f'{LAYER}.lora_B'] = torch.ones(2, 8).t()
    adapter['x.lora_A'] = shared[:1]
    metadata = dict(scaling=1.0, classes=['Zügel'], nested=dict(rank=8))
    save_adapter(tmp_path / 'a.safetensors', adapter, metadata)
    loaded, read = load_adapter(tmp_path / 'a.safetensors')
    assert read == metadata and set(loaded) == set(adapter)
    for key, value in loaded.items():
        assert torch.equal(bits(value), bits(adapter[key]))
        assert value.is_contiguous() and value.device.type == 'cpu'
        assert not value.requires_grad
    (tmp_path / 'a.safetensors').unlink()
    loaded['x.lora_A'].add_(1)


def test_empty_adapter_file(tmp_path):
    save_adapter(tmp_path / 'a', {}, dict(a=1))
    assert load_adapter(str(tmp_path / 'a')) == ({}, dict(a=1))


def test_bad_adapter_files(tmp_path):
    tensors = {'a.lora_A': torch.ones(1, 2)}
    good = tmp_path / 'good.safetensors'
    save_adapter(good, tensors, dict(a=1))
    cases = {
        'missing': None,
        'folder': None,
        'empty': b'',
        'text': b'not an adapter at all',
        'huge': struct.pack('<Q', 1 << 60) + b'{}',
        'truncated': good.read_bytes()[:-3],
    }
    (tmp_path / 'folder').mkdir()
    for name, content in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    torch.save(tensors, tmp_path / 'pickle')
    save_file(tensors, tmp_path / 'foreign')
    save_file(tensors, tmp_path / 'garbled', metadata={'gslora_mm': '{'})
    save_file(tensors, tmp_path / 'listed', metadata={'gslora_mm': '[1]'})
    for name in [*cases, 'pickle', 'foreign', 'garbled', 'listed']:
        with pytest.raises(ValueError, match=name) as info:
            load_adapter(tmp_path / name)
        assert '\n' not in str(info.value)
