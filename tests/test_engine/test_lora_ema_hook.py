"""The hook of the average alone, and its settings."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_lora_ema import average_of, lora_of
from tiny_classifier import EPOCHS, tiny_config
from tiny_run import run_sequence
from torch import nn

from gslora_mm.engine import ForgetSettings, read_config
from gslora_mm.engine.hooks import LoRAEMAHook
from gslora_mm.lora import LoRAGroups, LoRALinear
from gslora_mm.utils import ForgetError


def toy(by, start=2, decay=0.9):
    """A hook on a model, and what its runner would say."""
    torch.manual_seed(0)
    model = nn.Sequential(*(LoRALinear.from_linear(nn.Linear(3, 3), rank=2)
                            for _ in range(3)))
    for layer, block in zip(model, ('one', 'one', 'two')):
        layer.block = block
    runner = SimpleNamespace(
        model=model,
        epoch=0,
        max_epochs=6,
        _resume=True,
        optim_wrapper=SimpleNamespace(should_update=lambda: True))
    hook = LoRAEMAHook(start, decay, by)
    hook.before_run(runner)
    hook.before_train(runner)
    return hook, runner


def shake(runner, rng):
    for param in lora_of(runner.model):
        param.data.copy_(torch.from_numpy(rng.normal(size=param.shape)))


def test_resumed_hook_goes_on_bit_by_bit():
    final = []
    for stop in (None, 1, 3, 4):
        hook, runner = toy('epoch')
        rng = np.random.default_rng(0)
        for runner.epoch in range(6):
            shake(runner, rng)
            hook.after_train_epoch(runner)
            if runner.epoch == stop:
                saved = {}
                hook.before_save_checkpoint(runner, saved)
                hook, fresh = toy('epoch')
                hook.after_load_checkpoint(fresh, saved)
                fresh.epoch, runner = runner.epoch, fresh
        hook.after_train(runner)
        final.append([p.clone() for p in lora_of(runner.model)])
    for other in final[1:]:
        assert all(torch.equal(a, b) for a, b in zip(final[0], other))


def test_steps_that_only_accumulate_do_not_count():
    hook, runner = toy('iter', start=0)
    rng, seen = np.random.default_rng(0), []
    for i in range(6):
        runner.optim_wrapper.should_update = lambda: i % 2 == 1
        shake(runner, rng)
        hook.after_train_iter(runner, i)
        hook.after_train_epoch(runner)
        if i % 2:
            seen.append(lora_of(runner.model)[0].detach().double().numpy())
            seen[-1] = seen[-1].copy()
    hook.after_train(runner)
    np.testing.assert_allclose(
        lora_of(runner.model)[0].detach(), average_of(seen, 0.9), rtol=1e-5)


@pytest.mark.parametrize('by', ['block', 'lora', 'matrix'])
def test_what_ends_as_zero_stays_zero(by):
    hook, runner = toy('epoch', start=0)
    groups = LoRAGroups(runner.model, by)
    rng = np.random.default_rng(0)
    for _ in range(3):
        shake(runner, rng)
        hook.after_train_epoch(runner)
    for param in groups.parameters(0):
        param.data.zero_()
    hook.after_train_epoch(runner)
    hook.after_train(runner)
    assert groups.zero_mask().tolist() == [True] + [False] * (len(groups) - 1)


@pytest.mark.parametrize('ema, message', [
    (dict(), 'ema.start is missing'),
    (dict(start=-1), 'ema.start is -1; it must be a whole number >= 0'),
    (dict(start=1.5), 'ema.start is 1.5'),
    (dict(start=EPOCHS), 'request_01 is 3, but training ends after 3 .* to 2'),
    (dict(start=[0, 3]), 'start of request_02 is 3'),
    (dict(start=[0, 1, 2]), 'start lists 3 values for 2 requests'),
    (dict(start=0, decay=1), 'decay is 1; .* above 0 and below 1'),
    (dict(start=0, decay=0.), r'decay is 0.0'),
    (dict(start=0, decay='much'), "decay is 'much'; it must be a number"),
    (dict(start=0, by='week'), "by is 'week'; .* epoch, iter"),
    (dict(start=0, speed=1), 'forget.ema.speed is unknown'),
    ('yes', "forget.ema is 'yes'; it must be a section"),
])
def test_bad_settings_are_refused_before_anything_runs(tmp_path, ema, message):
    with pytest.raises(ForgetError, match=message):
        run_sequence(tiny_config(), tmp_path / 'run', **{'forget.ema': ema})
    assert not (tmp_path / 'run').exists()


def test_a_request_that_trains_longer_may_start_later():
    requests = [dict(classes=['coral'], max_epochs=9), ['jade']]
    cfg = read_config(
        str(tiny_config()), {
            'forget.requests': requests,
            'forget.ema': dict(start=[8, 2], decay=[.5, .9], by='iter')
        })
    settings = ForgetSettings.from_config(cfg)
    assert [settings.ema_of(r) for r in settings.requests] == [
        dict(start=8, decay=.5, by='iter'),
        dict(start=2, decay=.9, by='iter')
    ]


def test_hook_refuses_a_start_that_never_comes():
    with pytest.raises(ForgetError, match='ema.start is 6, .* after 6 epochs'):
        toy('epoch', start=6)
