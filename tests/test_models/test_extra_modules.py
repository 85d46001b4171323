"""Halves of a model, modules of a method, weights drawn anew."""
import copy
from types import SimpleNamespace

import detr_toys
import pytest
import torch
import vit_toys
from torch.nn import functional as F

from gslora_mm.methods import distillation
from gslora_mm.models.extras import plain_part
from gslora_mm.utils import ForgetError

TASKS = dict(vit=vit_toys, cosface=vit_toys, ddetr=detr_toys, detr=detr_toys)
LOWER = dict(vit='backbone.layers.0', cosface='backbone.layers.0',
             ddetr='encoder', detr='encoder')  # yapf: disable
GONE = [1, 3]


def plain(variant):
    toys = TASKS[variant]
    return (toys.plain_classifier if toys is vit_toys else
            toys.plain_detector)(variant)  # yapf: disable


def moved(state, seed):
    """Weights near some others."""
    generator = torch.Generator().manual_seed(seed)
    return {
        k:
        v + .05 * torch.randn(v.shape, generator=generator)
        if v.is_floating_point() and 'running' not in k else v
        for k, v in state.items()
    }


def build(variant, method, train='all', **options):
    return TASKS[variant].build_forgetting(
        variant, method=dict(type=method), train=train, forgotten=GONE,
        **options)  # yapf: disable


def lirf(variant, **options):
    """A model in the middle of LIRF; its three sets of weights."""
    model, base = build(variant, 'LIRF', **options), plain(variant)
    states = [
        base.state_dict(), *(moved(base.state_dict(), i) for i in (1, 2))
    ]
    original, student, deposit = states
    model.teacher.load_state_dict(original)
    model.load_state_dict(student, strict=False)
    model.method.begin(model, {})
    prefix = f'{LOWER[variant]}.'
    lower = {k.removeprefix(prefix): v for k, v in deposit.items()
             if k.startswith(prefix)}  # yapf: disable
    model.of_method['deposit'][0].load_state_dict(lower)
    mixed = {k: deposit[k] if k.startswith(prefix) else v
             for k, v in original.items()}  # yapf: disable
    model.method.relabel = lambda labels, count, _: (labels + 1) % count
    return model, SimpleNamespace(
        original=original, student=student, deposit=mixed)


def said_by(variant, state, inputs, samples):
    """Terms, outputs and tokens of a plain model with some weights."""
    model, tokens = build(variant, 'LwF'), []
    model.load_state_dict(state)
    model.get_submodule(LOWER[variant]).register_forward_hook(
        lambda module, args, output: tokens.append(output))
    model.eval()
    found = model.plain_terms(inputs, samples)
    return found.total(), found.student, tokens[0]


def attention(tokens):
    found = tokens.square().mean(1)
    found = found / found.norm(dim=1, keepdim=True)
    return found * (found >= .005)


@pytest.mark.parametrize('variant, streams', [('vit', 'fused'),
                                              ('vit', 'separate'),
                                              ('cosface', 'fused'),
                                              ('ddetr', 'fused'),
                                              ('ddetr', 'separate'),
                                              ('detr', 'fused')])
def test_lirf_against_plain_models(variant, streams):
    model, states = lirf(variant, streams=streams)
    inputs, samples = TASKS[variant].batch()
    found = model.loss(inputs, samples)
    wrong = model._relabelled(samples, range(len(samples)))
    parts = {s: TASKS[variant].of_stream(inputs, samples, s)
             for s in ('forget', 'retain')}  # yapf: disable
    images = parts['forget'][0]
    wrong = TASKS[variant].of_stream(inputs, wrong, 'forget')[1]
    relabelled, student, tokens = said_by(variant, states.student, images,
                                          wrong)
    _, teacher, original = said_by(variant, states.original, *parts['forget'])
    loss, deposit, _ = said_by(variant, states.deposit, *parts['forget'])
    kept = [k for k in range(teacher.logits.shape[-1]) if k not in GONE]
    expected = dict(
        loss_relabelled=.9 * relabelled,
        loss_keep=distillation(student, teacher, 10., kept),
        loss_apart=-300 * F.mse_loss(attention(tokens), attention(original)),
        loss_deposit=.05 *
        (.9 * loss + .1 * distillation(deposit, teacher, 10., GONE)),
        loss_retain=5 * said_by(variant, states.student, *parts['retain'])[0])
    assert set(expected) == {k for k in found if 'loss' in k}
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=2e-4, atol=1e-5)
        assert value.abs() > 1e-6


@pytest.mark.parametrize('variant', ['vit', 'ddetr'])
def test_deposit_learns_and_the_original_does_not(variant):
    model, states = lirf(variant)
    inputs, samples = TASKS[variant].batch()
    before = copy.deepcopy(model.of_method.state_dict())
    losses = model.loss(inputs, samples)
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    torch.optim.SGD(model.parameters(), lr=.1).step()
    after = model.of_method.state_dict()
    assert all((after[k] != before[k]).any() for k in before)
    found = model.teacher.state_dict()
    assert all(torch.equal(found[k], v) for k, v in states.original.items())
    # What counts is the model alone.
    whole = sum(p.numel() for p in plain(variant).parameters())
    assert model.parameter_counts[1] == whole
    assert set(plain_part(model.state_dict())) == set(states.original)
    deposit = {k for k in model.state_dict() if k.startswith('of_method.')}
    assert deposit and deposit <= set(model.trained_keys())


def test_lirf_beside_lora():
    model = vit_toys.build_forgetting(
        'vit', method=dict(type='LIRF'), forgotten=GONE)
    model.method.begin(model, {})
    keys = {k.rpartition('.')[2] for k in model.trained_keys()
            if not k.startswith('of_method.')}  # yapf: disable
    assert keys == {'lora_A', 'lora_B'}
    assert set(plain_part(model.state_dict())) == set(
        plain('vit').state_dict())
    losses = model.loss(*vit_toys.batch())
    sum(v for k, v in losses.items() if 'loss' in k).backward()


@pytest.mark.parametrize('variant, count', [('vit', 1), ('deit', 6),
                                            ('swin', 2), ('swin_v2', 2)])
def test_lower_half_of_classifiers(variant, count):
    model = vit_toys.build_forgetting(variant)
    assert model.lower_half() == vit_toys.blocks_of(variant)[:count]


@pytest.mark.parametrize('variant', ['vit', 'ddetr'])
def test_weights_drawn_anew(variant):
    model, base = build(variant, 'Retrain'), plain(variant)
    model.load_state_dict(base.state_dict())
    found = []
    for seed in (1, 1, 2):
        model.generator.manual_seed(seed)
        state = torch.get_rng_state()
        model.method.begin(model, {})
        assert torch.equal(torch.get_rng_state(), state)
        found.append({k: v.clone() for k, v in model.state_dict().items()})
    # As the library draws them.
    seed = int(
        torch.randint(
            2**31, (1, ), generator=torch.Generator().manual_seed(2)))
    torch.manual_seed(seed)
    toys = TASKS[variant]
    config, models = ((vit_toys.classifier_cfg,
                       vit_toys.MMPRETRAIN_MODELS) if toys is vit_toys else
                      (detr_toys.detector_cfg, detr_toys.MMDET_MODELS))
    scope = dict(vit='mmpretrain').get(variant, 'mmdet')
    theirs = models.build(dict(config(variant), _scope_=scope))
    theirs.init_weights()
    for key, value in theirs.state_dict().items():
        assert torch.equal(found[2][key], value), key
        assert torch.equal(found[0][key], found[1][key])
        # Tokens begin as zeros.
        if value.ndim > 1 and value.any():
            assert not torch.equal(found[0][key], value)
            assert not torch.equal(found[0][key], base.state_dict()[key])
    # A resumed run goes on with its own.
    model.method.begin(model, {}, fresh=False)
    assert all(torch.equal(v, found[2][k])
               for k, v in model.state_dict().items())  # yapf: disable


def test_norms_train_as_far_as_those_of_the_plain_model():
    model, own = build('ddetr', 'Retrain'), plain('ddetr').train()
    # mmdet leaves some weights as the memory was.
    model.load_state_dict(own.state_dict())
    found, expected = ({
        n: m.training
        for n, m in x.named_modules() if 'BatchNorm' in type(m).__name__
    } for x in (model, own))
    assert found == expected and all(found.values())
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.loss(*detr_toys.batch())
    after = model.state_dict()
    changed = {k for k in after if not torch.equal(after[k], before[k])}
    assert any(k.endswith('running_mean') for k in changed)
    assert changed <= set(model.trained_keys()) == set(after)


def test_weights_that_stay_as_drawn_are_refused():
    cfg = detr_toys.forgetting_cfg(
        'ddetr', method=dict(type='Retrain'), train='all')
    cfg['detector']['backbone']['frozen_stages'] = 1
    model = detr_toys.MODELS.build(cfg)
    with pytest.raises(ForgetError, match='conv1.*frozen_stages=-1'):
        model.method.begin(model, {})
    model = build('vit', 'Retrain', train='head')
    with pytest.raises(ForgetError, match="Retrain.*forget.train='all'"):
        model.method.begin(model, {})
    with pytest.raises(ForgetError, match="Retrain.*forget.train='all'"):
        build('vit', 'Retrain', train='lora')
