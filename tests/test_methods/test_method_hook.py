"""The hook's learning rate, against what the optimizer was told."""
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from gslora_mm.engine.hooks import MethodHook, lora_lr
from gslora_mm.lora import LoRAGroups, freeze_base, inject_lora
from gslora_mm.methods import GSLoRA
from gslora_mm.utils import ForgetError

LR, ALPHA = 0.01, 3.
# The first parameter group is the stem's.
PARAMWISE = dict(
    custom_keys=dict(blocks=dict(lr_mult=0.1)), norm_decay_mult=0.)


def block():
    return nn.ModuleDict(
        dict(
            attention=nn.MultiheadAttention(8, 2),
            norm=nn.LayerNorm(8),
            ffn=nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 8))))


def forgetting_model():
    torch.manual_seed(0)
    model = nn.ModuleDict(
        dict(stem=nn.Linear(4, 8), blocks=nn.ModuleList([block(),
                                                         block()])))
    inject_lora(model, rank=2)
    freeze_base(model)
    # As a method may have it that trains more than LoRA.
    model['stem'].requires_grad_(True)
    model.groups, model.method = LoRAGroups(model), GSLoRA(alpha=ALPHA)
    with torch.no_grad():
        for i in range(2):
            for param in model.groups.parameters(i):
                param.copy_(torch.randn_like(param))
    return model


def optimizer_of(model, paramwise=None, **wrapper):
    return build_optim_wrapper(
        model,
        dict(
            optimizer=dict(type='SGD', lr=LR, weight_decay=0.),
            paramwise_cfg=paramwise,
            **wrapper))


def runner_of(model, optim):
    hub = SimpleNamespace(runtime_info={})
    return SimpleNamespace(model=model, optim_wrapper=optim, message_hub=hub)


def shrinkage(model, runner):
    before = model.groups.norms()
    MethodHook().after_train_iter(runner, 0)
    return (before - model.groups.norms()).tolist()


@pytest.mark.parametrize('wrapper', [nn.Identity, nn.DataParallel])
def test_proximal_step_uses_the_rate_of_lora(wrapper):
    model = forgetting_model()
    optim = optimizer_of(model, PARAMWISE)
    assert optim.get_lr()['lr'][0] == LR
    whole = model if wrapper is nn.Identity else wrapper(model)
    found = shrinkage(model, runner_of(whole, optim))
    assert found == pytest.approx([LR / 10 * ALPHA] * 2, rel=1e-2)


def test_rate_follows_a_schedule_and_a_resumed_optimizer():
    model = forgetting_model()
    optim = optimizer_of(model, PARAMWISE)
    for group in optim.param_groups:
        group['lr'] *= 0.5
    assert lora_lr(optim, model.groups) == pytest.approx(LR / 20)
    fresh = optimizer_of(model, PARAMWISE)
    fresh.load_state_dict(optim.state_dict())
    assert lora_lr(fresh, model.groups) == pytest.approx(LR / 20)


def test_mixed_precision(monkeypatch):
    monkeypatch.setattr(
        'mmengine.optim.optimizer.amp_optimizer_wrapper.is_cuda_available',
        lambda: True)
    model = forgetting_model()
    optim = optimizer_of(model, PARAMWISE, type='AmpOptimWrapper')
    assert lora_lr(optim, model.groups) == pytest.approx(LR / 10)


def test_nothing_happens_while_gradients_accumulate():
    model = forgetting_model()
    optim = optimizer_of(model, accumulative_counts=2)
    runner, found = runner_of(model, optim), []
    optim.initialize_count_status(model, 0, 3)
    for _ in range(3):
        # A gradient of zero: the optimizer itself moves nothing.
        optim.update_params(0 * model.groups.penalty())
        found += shrinkage(model, runner)[:1]
    # The last iteration makes a step of its own.
    assert found == pytest.approx([0, LR * ALPHA, LR * ALPHA], rel=1e-3)


@pytest.mark.parametrize('paramwise', [
    dict(custom_keys={'blocks.0': dict(lr_mult=0.5)}),
    dict(custom_keys={'lora_B': dict(lr_mult=0.5)}),
])
def test_several_rates_are_refused(paramwise):
    model = forgetting_model()
    optim = optimizer_of(model, paramwise)
    with pytest.raises(ForgetError, match=r'0\.005, 0\.01.*paramwise_cfg'):
        lora_lr(optim, model.groups)
    # Only the proximal step needs one rate for all.
    model.method.uses_lr, model.method.mode = False, 'subgradient'
    MethodHook().after_train_iter(runner_of(model, optim), 0)


def test_optimizer_without_lora_is_refused():
    model = forgetting_model()
    optim = optimizer_of(model['stem'])
    with pytest.raises(ForgetError, match='no LoRA parameter'):
        lora_lr(optim, model.groups)
