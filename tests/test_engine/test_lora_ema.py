"""The averaged LoRA weights are what a request leaves behind."""
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from kill_and_resume import differences
from mmengine.config import Config
from mmengine.hooks import Hook
from tiny_classifier import (CLASSES, EPOCHS, REQUESTS, base_checkpoint,
                             finished_run, logits_of, plain_model, read_images,
                             tiny_config)
from tiny_run import run_sequence
from tiny_run import tiny_config as detector_config

from gslora_mm.analysis import analyze_groups
from gslora_mm.engine import request_run
from gslora_mm.engine.hooks import MethodHook
from gslora_mm.engine.runner import RequestRunner
from gslora_mm.lora import fingerprint, load_adapter, merge_state_dict
from gslora_mm.utils import ForgetError

START, DECAY = 1, 0.75
OPTIONS = {
    'forget.ema': dict(start=START, decay=DECAY),
    # The first request has values of its own.
    'forget.method.beta': [2., 1.9]
}


class Killed(BaseException):
    """Not caught by anything, like a signal."""


def read(path):
    return json.loads(path.read_text())


def state_of(path):
    return torch.load(path, weights_only=True)['state_dict']


@pytest.fixture(scope='module')
def config():
    """The config of the tiny run."""
    return tiny_config()


@pytest.fixture(scope='module')
def averaged(config, tmp_path_factory):
    """Folder of a finished run with an average; read only."""
    folder = tmp_path_factory.mktemp('ema') / 'run'
    run_sequence(config, folder, **OPTIONS)
    return folder


@pytest.fixture(scope='module')
def raw(averaged, tmp_path_factory):
    """LoRA weights after each epoch of request 1, by a run without average.

    Returns:
        list[dict[str, ndarray]]: For each epoch the weights by name.
    """
    cfg = Config.fromfile(averaged / 'request_01/config.py')
    cfg.custom_hooks = [
        hook for hook in cfg.custom_hooks
        if hook.type != 'gslora_mm.LoRAEMAHook'
    ]
    cfg.work_dir = str(tmp_path_factory.mktemp('raw'))
    cfg.experiment_name = 'raw_weights'
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    RequestRunner.from_cfg(cfg).train()
    return [{
        name: value.double().numpy()
        for name, value in state_of(f'{cfg.work_dir}/epoch_{i}.pth').items()
    } for i in range(1, EPOCHS + 1)]


def average_of(values, decay):
    """The weighted sum, written out."""
    weights = [decay**(len(values) - 1)] + [
        (1 - decay) * decay**k for k in range(len(values) - 2, -1, -1)
    ]
    assert sum(weights) == pytest.approx(1)
    return sum(w * v for w, v in zip(weights, values))


def test_adapter_holds_the_average_of_the_epochs(averaged, raw):
    adapter, about = load_adapter(averaged / 'request_01/adapter.safetensors')
    ends_at_zero = {name for name in raw[-1] if not raw[-1][name].any()}
    # Groups of both kinds; some got to zero after the average had begun.
    assert ends_at_zero and set(raw[-1]) - ends_at_zero
    assert any(raw[START][name].any() for name in ends_at_zero)
    assert set(adapter) == set(raw[-1]) - ends_at_zero
    for name, value in adapter.items():
        expected = average_of([w[name] for w in raw[START:]], DECAY)
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)
        assert np.abs(expected - raw[-1][name]).max() > 1e-3
    assert about['ema'] == dict(start=START, decay=DECAY, by='epoch')


def test_average_is_merged_measured_and_handed_on(averaged, config):
    before = base_checkpoint()
    for index, request in enumerate(REQUESTS, 1):
        folder = averaged / f'request_{index:02d}'
        adapter, about = load_adapter(folder / 'adapter.safetensors')
        base, merged = state_of(before), state_of(folder / 'merged.pth')
        assert fingerprint(base) == about['base_fingerprint']
        by_hand = merge_state_dict(base, adapter, about['scaling'])
        assert fingerprint(by_hand) == fingerprint(merged)
        model = plain_model(config)
        model.load_state_dict(merged)
        images, names, _ = read_images()
        hits = np.array([
            CLASSES[label] == name for label, name in zip(
                logits_of(model, images).argmax(1).tolist(), names)
        ])
        metrics = read(folder / 'metrics.json')
        forgotten = [name in request for name in names]
        assert metrics['top1']['Acc_f'] == hits[forgotten].mean()
        before = folder / 'merged.pth'


def test_zero_groups_keep_every_bit(averaged, raw):
    """Those that were not zero when the average began among them."""
    report = read(averaged / 'request_01/groups.json')
    base = state_of(base_checkpoint())
    merged = state_of(averaged / 'request_01/merged.pth')
    adapter, _ = load_adapter(averaged / 'request_01/adapter.safetensors')
    for group in report['groups']:
        keys = [f'{layer}.lora_{m}' for layer in group['layers'] for m in 'AB']
        assert group['zero'] == (not any(raw[-1][k].any() for k in keys))
        norm = sum(
            float(adapter[k].double().square().sum()) for k in keys
            if k in adapter)**.5
        assert group['norm'] == pytest.approx(norm, rel=1e-5)
        for layer in group['layers']:
            key = f'{layer}.weight'
            assert torch.equal(base[key], merged[key]) == group['zero']
    assert analyze_groups(averaged)['ok']


def test_files_say_that_the_average_was_used(averaged):
    expected = dict(start=START, decay=DECAY, by='epoch')
    table = pd.read_csv(averaged / 'summary.csv')
    for index in (1, 2):
        folder = averaged / f'request_{index:02d}'
        assert read(folder / 'metrics.json')['ema'] == expected
        assert read(folder / 'groups.json')['ema'] == expected
        meta = torch.load(folder / 'merged.pth', weights_only=True)['meta']
        assert meta['gslora']['ema'] == expected
    assert set(table.ema_decay) == {DECAY} and set(table.ema_start) == {START}
    plain = finished_run() / 'request_01'
    assert 'ema' not in read(plain / 'metrics.json')
    assert read(plain / 'groups.json')['ema'] is None


def test_raw_weights_go_on_training(averaged, config, tmp_path):
    """The norms during training are those without an average."""
    run_sequence(config, tmp_path / 'run', **{
        **OPTIONS, 'forget.ema': None
    })  # yapf: disable
    with_average, without = (
        read(folder / 'request_01/groups.json')
        for folder in (averaged, tmp_path / 'run'))
    assert with_average['history'] == without['history']
    assert with_average['groups'] != without['groups']


@pytest.mark.parametrize('moment', ['epoch', 'artefacts'])
def test_killed_and_resumed(averaged, config, tmp_path, monkeypatch, moment):
    """In the middle of the average, or between training and its files."""
    half = tmp_path / 'half'
    shutil.copytree(averaged, half)
    shutil.rmtree(half / 'request_02')

    def kill(*args):
        raise Killed

    def kill_last_epoch(self, runner):
        if runner.epoch == EPOCHS - 1:
            raise Killed
        start_epoch(self, runner)

    start_epoch = MethodHook.before_train_epoch
    with monkeypatch.context() as patch:
        if moment == 'epoch':
            patch.setattr(MethodHook, 'before_train_epoch', kill_last_epoch)
        else:
            patch.setattr(request_run, 'write_artefacts', kill)
        with pytest.raises(Killed):
            run_sequence(config, half, resume=True, **OPTIONS)
    newest = request_run.newest_checkpoint(half / 'request_02')
    assert newest.name == f'epoch_{EPOCHS - (moment == "epoch")}.pth'
    assert torch.load(newest, weights_only=True)['lora_ema']['steps'] > 0
    run_sequence(config, half, resume=True, **OPTIONS)
    assert read(half / 'request_02/training.json')['resumed']
    assert list(differences(averaged, half)) == []


def test_checkpoint_without_its_average_is_refused(averaged, config, tmp_path,
                                                   monkeypatch):
    half = tmp_path / 'half'
    shutil.copytree(averaged, half)
    shutil.rmtree(half / 'request_02')

    def kill(*args):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(request_run, 'write_artefacts', kill)
        with pytest.raises(Killed):
            run_sequence(config, half, resume=True, **OPTIONS)
    newest = request_run.newest_checkpoint(half / 'request_02')
    content = torch.load(newest, weights_only=True)
    del content['lora_ema']
    torch.save(content, newest)
    with pytest.raises(ForgetError, match='no average.*remove epoch_'):
        run_sequence(config, half, resume=True, **OPTIONS)


def test_detector_averages_every_step(tmp_path):
    """The same weights as a run of steps, averaged by hand."""
    steps = []

    class Recorder(Hook):
        # After the proximal step.
        priority = 'LOW'

        def after_train_iter(self, runner, *args, **kwargs):
            steps.append([
                p.detach().double().numpy().copy()
                for p in lora_of(runner.model)
            ])

    options = {
        'forget.ema': dict(start=1, decay=0.5, by='iter'),
        'forget.requests': [['circle', 'star']]
    }
    run_sequence(detector_config(), tmp_path / 'run', **options)
    cfg = Config.fromfile(tmp_path / 'run/request_01/config.py')
    *hooks, ema, stop = cfg.custom_hooks
    assert ema.type == 'gslora_mm.LoRAEMAHook'
    cfg.custom_hooks = [*hooks, stop]
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'raw'), 'raw_steps'
    runner = RequestRunner.from_cfg(cfg)
    runner.register_hook(Recorder())
    model = runner.train()
    names = [n for n, _ in model.named_parameters() if '.lora_' in n]
    adapter, _ = load_adapter(tmp_path / 'run/request_01/adapter.safetensors')
    per_epoch = len(steps) // 2
    found = 0
    for k, name in enumerate(names):
        if steps[-1][k].any():
            expected = average_of([s[k] for s in steps[per_epoch:]], 0.5)
            np.testing.assert_allclose(
                adapter[name], expected, rtol=1e-4, atol=1e-6)
            found += 1
    assert found == len(adapter) > 0


def lora_of(model):
    return [p for n, p in model.named_parameters() if '.lora_' in n]
