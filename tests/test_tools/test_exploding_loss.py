"""A loss that explodes stops the run, and good states stay."""
import json

import pytest
import torch
from tool_calls import error_of

from gslora_mm.methods import GSLoRA


def train(config, half, *options):
    return error_of('train', config, '--work-dir', half, '--resume', *options)


@pytest.fixture
def broken_loss(monkeypatch):
    """From the second epoch on, one term of the loss is ``value``."""

    def broken(value):
        losses = GSLoRA.losses

        def exploding(self, *args):
            terms = losses(self, *args)
            if self.sparsity_on:
                terms['loss_forget'] = terms['loss_forget'] * value
            return terms

        monkeypatch.setattr(GSLoRA, 'losses', exploding)

    return broken


@pytest.mark.parametrize('value', [float('nan'), 1e6])
def test_loss_names_request_iteration_and_term(config, half, broken_loss,
                                               value):
    broken_loss(value)
    message = train(config, half)
    assert 'request_02, iteration 3: loss_forget is' in message
    assert 'the state after epoch 1 is kept; lower the learning rate' in (
        message)
    kept = half / 'request_02/epoch_1.pth'
    state = torch.load(kept, weights_only=True)['state_dict']
    assert all(v.isfinite().all() for v in state.values())
    assert not (half / 'request_02/epoch_2.pth').exists()
    assert (half / 'request_01/merged.pth').is_file()


def test_huge_learning_rate(tmp_path, config, run):
    message = error_of('train', config, '--work-dir', tmp_path / 'out',
                       '--cfg-options', 'optim_wrapper.optimizer.lr=1e6',
                       'forget.method.sparsity_start=9',
                       'forget.requests=[[circle,star]]')
    assert 'request_01, iteration ' in message
    assert 'training stopped' in message and 'learning rate' in message
    assert not list((tmp_path / 'out').rglob('merged.pth'))
    left = json.loads((tmp_path / 'out/diverged.json').read_text())
    assert left['error'] == message


def test_weights_that_explode_in_the_last_step(config, half, monkeypatch):
    """No loss shows it, and the broken state must not be saved."""

    def overflow(self, groups, lr):
        for param in groups.parameters(0):
            param.data.fill_(float('inf'))

    start = GSLoRA.start_epoch

    def start_epoch(self, epoch, groups):
        start(self, epoch, groups)
        self.steps = 0

    def after_step(self, groups, lr):
        self.steps += 1
        if self.steps == 2 and self.sparsity_on:
            overflow(self, groups, lr)

    monkeypatch.setattr(GSLoRA, 'start_epoch', start_epoch)
    monkeypatch.setattr(GSLoRA, 'after_step', after_step)
    message = train(config, half)
    assert 'request_02, iteration 4: LoRA weights are not finite' in message
    assert 'the state after epoch 1 is kept' in message
    assert not (half / 'request_02/epoch_2.pth').exists()
    assert (half / 'request_02/epoch_1.pth').is_file()
