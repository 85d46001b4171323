import numpy as np
import pytest
import torch
from lora_toys import ToyDETR, fill_lora
from torch import nn

from gslora_mm.lora import LoRAGroups, inject_lora, lora_layers


def make(by='block', dtype=torch.float64):
    model = ToyDETR().to(dtype)
    inject_lora(model, rank=2, alpha=6.0)
    fill_lora(model)
    return model, LoRAGroups(model, by)


def values(groups, i):
    return np.concatenate(
        [p.detach().numpy().ravel() for p in groups.parameters(i)])


def set_group(groups, i, value):
    for param in groups.parameters(i):
        nn.init.constant_(param, value)


def test_names_and_members():
    model, groups = make('block')
    assert groups.names == [
        'encoder.layers.0', 'encoder.layers.1', 'decoder.layers.0',
        'decoder.layers.1'
    ]
    layers = lora_layers(model)
    ffn = 'encoder.layers.0.ffn.layers'
    first = [f'{ffn}.0.0', f'{ffn}.1']
    assert groups.layers(0) == first
    assert groups.keys(0) == [
        f'{n}.{m}' for n in first for m in ('lora_A', 'lora_B')
    ]
    expected = [p for n in first for p in (layers[n].lora_A, layers[n].lora_B)]
    assert all(a is b for a, b in zip(groups.parameters(0), expected))
    assert LoRAGroups(model, 'lora').names == list(layers)
    matrix = LoRAGroups(model, 'matrix')
    assert matrix.names[:2] == [f'{first[0]}.lora_A', f'{first[0]}.lora_B']
    assert matrix.layers(1) == first[:1] and len(matrix.parameters(1)) == 1


@pytest.mark.parametrize('by, count', [('block', 4), ('lora', 8),
                                       ('matrix', 16)])
def test_groups_partition_the_lora_parameters(by, count):
    model, groups = make(by)
    assert len(groups) == len(groups.names) == count
    ids = [id(p) for i in range(count) for p in groups.parameters(i)]
    expected = {id(p) for n, p in model.named_parameters() if 'lora_' in n}
    assert len(ids) == len(set(ids)) and set(ids) == expected
    keys = {k for i in range(count) for k in groups.keys(i)}
    assert keys == {k for k in model.state_dict() if 'lora_' in k}


@pytest.mark.parametrize('by', ['block', 'lora', 'matrix'])
def test_norms_and_penalty(by):
    _, groups = make(by)
    expected = [np.linalg.norm(values(groups, i)) for i in range(len(groups))]
    np.testing.assert_allclose(groups.norms().detach(), expected, rtol=1e-12)
    np.testing.assert_allclose(groups.penalty().item(), sum(expected))


def test_penalty_gradient():
    _, groups = make()
    set_group(groups, 1, 0.0)
    groups.penalty().backward()
    for param in groups.parameters(1):
        assert torch.equal(param.grad, torch.zeros_like(param))
    norm = np.linalg.norm(values(groups, 0))
    for param in groups.parameters(0):
        torch.testing.assert_close(param.grad, param.detach() / norm)


def test_penalty_numerical_gradient():
    _, groups = make()
    params = groups.parameters(0) + groups.parameters(3)
    assert torch.autograd.gradcheck(lambda *_: groups.penalty(), params)


def test_nan_is_not_hidden():
    _, groups = make()
    groups.parameters(2)[0].data[0, 0] = float('nan')
    assert groups.norms().isnan().tolist() == [False, False, True, False]
    groups.soft_threshold_(1e6)
    assert groups.norms().isnan().tolist() == [False, False, True, False]
    assert groups.zero_mask().tolist() == [True, True, False, True]


@pytest.mark.parametrize('by', ['block', 'lora', 'matrix'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_soft_threshold_closed_form(by, dtype):
    _, groups = make(by, dtype)
    norms = groups.norms().detach().numpy()
    threshold = float(np.median(norms))
    expected = [
        max(0.0, 1 - threshold / norm) * values(groups, i)
        for i, norm in enumerate(norms)
    ]
    groups.soft_threshold_(threshold)
    for i, value in enumerate(expected):
        np.testing.assert_allclose(values(groups, i), value, atol=1e-6)
        assert groups.zero_mask()[i].item() == (norms[i] <= threshold)


def test_soft_threshold_is_the_argmin_of_the_proximal_problem():
    _, groups = make('matrix')
    start, threshold = torch.tensor(values(groups, 0)), 0.4
    point = start.clone().requires_grad_()
    solver = torch.optim.LBFGS([point], max_iter=200, tolerance_grad=1e-12)

    def objective():
        solver.zero_grad()
        value = 0.5 * (point - start).square().sum() + threshold * point.norm()
        value.backward()
        return value

    solver.step(objective)
    groups.soft_threshold_(threshold)
    np.testing.assert_allclose(
        values(groups, 0), point.detach(), rtol=1e-5, atol=1e-7)


def test_soft_threshold_zeros_are_exact_and_positive():
    _, groups = make(dtype=torch.float32)
    set_group(groups, 0, -1e-3)
    set_group(groups, 1, 0.0)
    set_group(groups, 2, -0.0)
    groups.soft_threshold_(0.1)
    for i in range(3):
        assert not values(groups, i).view(np.int32).any()
    assert groups.zero_mask().tolist() == [True, True, True, False]


def test_norm_equal_to_the_threshold_is_zero():
    _, groups = make()
    groups.soft_threshold_(groups.norms().detach()[2].clone())
    assert groups.zero_mask()[2]


def test_threshold_per_group_and_zero_threshold():
    _, groups = make()
    before = [values(groups, i) for i in range(4)]
    groups.soft_threshold_(0.0)
    assert all((values(groups, i) == before[i]).all() for i in range(4))
    groups.soft_threshold_(torch.tensor([0.0, 1e9, 0.0, 0.0]))
    assert groups.zero_mask().tolist() == [False, True, False, False]
    assert (values(groups, 0) == before[0]).all()
    with pytest.raises(ValueError, match='threshold'):
        groups.soft_threshold_(-1.0)


def test_zero_mask_sees_what_norms_cannot():
    _, groups = make(dtype=torch.float32)
    set_group(groups, 0, 1e-30)
    assert groups.norms()[0] == 0 and not groups.zero_mask()[0]
    set_group(groups, 0, 0.0)
    assert groups.zero_mask()[0]


def test_half_precision_norms_do_not_overflow():
    _, groups = make(dtype=torch.float16)
    set_group(groups, 0, 300.0)
    count = values(groups, 0).size
    assert groups.norms()[0].item() == pytest.approx(300 * count**0.5)
    groups.soft_threshold_(1.0)
    assert groups.parameters(0)[0].dtype == torch.float16


def test_update_norms():
    model, groups = make()
    scale = 6.0 / 2
    change = {
        name: scale * (layer.lora_B @ layer.lora_A).detach().numpy()
        for name, layer in lora_layers(model).items()
    }
    expected = [
        np.sqrt(sum((change[n]**2).sum() for n in groups.layers(i)))
        for i in range(len(groups))
    ]
    np.testing.assert_allclose(groups.update_norms(), expected)
    matrix = LoRAGroups(model, 'matrix')
    norms = matrix.update_norms()
    assert norms[0] == norms[1]
    np.testing.assert_allclose(norms[0],
                               np.linalg.norm(change[matrix.layers(0)[0]]))
    nn.init.zeros_(matrix.parameters(1)[0])
    assert matrix.update_norms()[0] == 0 and not matrix.zero_mask()[0]


def test_follows_the_model():
    model, groups = make()
    for layer in lora_layers(model).values():
        layer.lora_A = nn.Parameter(torch.zeros_like(layer.lora_A))
        layer.lora_B = nn.Parameter(torch.zeros_like(layer.lora_B))
    assert groups.zero_mask().all()


def test_bad_input():
    model, _ = make()
    with pytest.raises(ValueError, match='by must be'):
        LoRAGroups(model, 'layer')
    with pytest.raises(ValueError, match='no LoRA'):
        LoRAGroups(ToyDETR())
