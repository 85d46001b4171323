"""Two processes with the same global batch do what one does."""
import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import tiny_classifier
import tiny_run
import torch

from gslora_mm.engine import (ForgettingSequence, init_launcher,
                              leave_launcher, read_config)
from gslora_mm.utils import ForgetError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from forked import launch, tool  # noqa: E402
from results import different  # noqa: E402

ITERATIONS, EPOCHS = 20, 2
# Nothing random in the pictures: each process draws its own numbers.
_CONFIG = """
_base_ = {base!r}
train_dataloader = dict(
    batch_size={batch}, num_workers=0, persistent_workers=False,
    dataset=dict(pipeline={pipeline}))
# An odd number: the sampler gives one of them to both processes.
val_dataloader = dict(dataset=dict(indices=23))
forget = dict(
    requests={requests},
    method=dict(type={method!r}, sparsity_start=1),
    data=dict(forget_per_batch={forget}, epoch_batches={batches}))
train_cfg = dict(max_epochs={epochs})
optim_wrapper = dict(optimizer=dict(lr=1e-3))
log_processor = dict(window_size=1)
"""
_DETECTION = """[
        dict(type='LoadImageFromFile', backend_args=None),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='PackDetInputs')]"""
_CLASSIFICATION = "[dict(type='LoadImageFromFile'), dict(type='PackInputs')]"
_KINDS = dict(
    detection=(tiny_run, _DETECTION),
    classification=(tiny_classifier, _CLASSIFICATION))


def _config(path, kind, method, processes):
    tiny, pipeline = _KINDS[kind]
    path.write_text(
        _CONFIG.format(
            base=str(tiny.tiny_config()),
            batch=8 // processes,
            pipeline=pipeline,
            requests=tiny.REQUESTS[:1],
            method=method,
            forget=4 // processes,
            batches=ITERATIONS // EPOCHS,
            epochs=EPOCHS))
    return path


@lru_cache(maxsize=None)
def _run(kind, method, processes):
    """Folder of a finished run."""
    folder = tiny_run.shared_folder() / f'{kind}_{method}_{processes}'
    config = _config(Path(f'{folder}.py'), kind, method, processes)

    def work():
        cfg = read_config(str(config))
        init_launcher(cfg, 'pytorch' if processes > 1 else 'none')
        ForgettingSequence(cfg, folder).run()
        leave_launcher()

    launch(work, f'{folder}.log', processes)
    return folder


def _losses(folder):
    (path, ) = folder.glob('request_01/*/vis_data/scalars.json')
    rows = map(json.loads, path.read_text().splitlines())
    return [{
        k: v
        for k, v in row.items() if 'loss' in k or '/' in k
    } for row in rows if 'loss' in row]


def _slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


def _pairs(kind, method):
    return [_run(kind, method, processes) for processes in (1, 2)]


CASES = [('detection', 'GSLoRA'), ('classification', 'GSLoRAPlusPlus'),
         _slow('detection', 'GSLoRAPlusPlus'),
         _slow('classification', 'GSLoRA')]


@pytest.mark.parametrize('kind, method', CASES)
def test_losses(kind, method):
    one, two = map(_losses, _pairs(kind, method))
    assert len(one) == len(two) == ITERATIONS
    for alone, shared in zip(one, two):
        assert set(alone) == set(shared)
        for key, value in alone.items():
            assert shared[key] == pytest.approx(value, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize('kind, method', CASES)
def test_what_is_left(kind, method):
    one, two = _pairs(kind, method)
    read = [(f / 'request_01/subset.json').read_text() for f in (one, two)]
    assert read[0] == read[1]
    states, norms, metrics = [], [], []
    for folder in (one, two):
        path = folder / 'request_01'
        states.append(
            torch.load(path / 'merged.pth', weights_only=True)['state_dict'])
        norms.append(json.loads((path / 'groups.json').read_text())['groups'])
        metrics.append(json.loads((path / 'metrics.json').read_text()))
    assert list(states[0]) == list(states[1])
    for key, value in states[0].items():
        torch.testing.assert_close(states[1][key], value, rtol=0, atol=1e-4)
    # A penalty for each process would shrink them twice.
    assert np.allclose(
        *([g['norm'] for g in found] for found in norms), rtol=1e-3)
    assert [g['zero'] for g in norms[0]] == [g['zero'] for g in norms[1]]
    assert _flat(metrics[0]) == pytest.approx(_flat(metrics[1]), abs=.02)


@pytest.mark.parametrize('kind, method', CASES[:2])
def test_images_are_measured_once(kind, method):
    reports = [
        json.loads((f / 'base/report.json').read_text())
        for f in _pairs(kind, method)
    ]
    assert reports[0] == reports[1]


def test_checkpoints_are_measured_once(tmp_path):
    """By tools/test.py, whose processes must not wait for each other."""
    folder = _run('classification', 'GSLoRAPlusPlus', 1)
    own, found = json.loads(
        (folder / 'request_01/metrics.json').read_text()), []
    for processes in (1, 2):
        out = tmp_path / f'{processes}.json'
        launch(
            tool('test', f'{folder}.py', folder / 'request_01/merged.pth',
                 '--work-dir', tmp_path / 'test', '--out', out,
                 *(['--launcher', 'pytorch'] if processes > 1 else [])),
            tmp_path / f'{processes}.log', processes)
        found.append(json.loads(out.read_text()))
    assert found[0] == found[1] and found[0]['top1'] == own['top1']


def _flat(value, prefix=''):
    if isinstance(value, dict):
        return {
            k: v
            for key, item in value.items()
            for k, v in _flat(item, f'{prefix}{key}.').items()
        }
    return {prefix: value} if isinstance(value, float) else {}


@pytest.mark.parametrize('options', [
    {
        'model_wrapper_cfg': dict(type='MMFullyShardedDataParallel')
    },
    {
        'runner_type': 'FlexibleRunner',
        'strategy': dict(type='DDPStrategy')
    },
    {
        'strategy': dict(type='FSDPStrategy')
    },
])
def test_sharded_models_are_refused(options, tmp_path):
    with pytest.raises(ForgetError, match='whole groups'):
        tiny_run.run_sequence(tiny_run.tiny_config(), tmp_path, **options)


@pytest.mark.slow
def test_script_for_several_processes(tmp_path):
    """torchrun itself, stopped and continued."""
    config = _config(tmp_path / 'config.py', 'classification', 'GSLoRA', 2)
    command = [
        'bash', tiny_run.REPO / 'tools/dist_train.sh', config, '2',
        '--work-dir', tmp_path / 'run'
    ]
    done = subprocess.run([str(c) for c in command],
                          capture_output=True,
                          text=True,
                          env=dict(os.environ, PORT='29611'))
    assert done.returncode == 0, done.stderr[-3000:]
    measured = [
        'bash', tiny_run.REPO / 'tools/dist_test.sh', config,
        tmp_path / 'run/request_01/merged.pth', '2', '--work-dir',
        tmp_path / 'test'
    ]
    done = subprocess.run([str(c) for c in measured],
                          capture_output=True,
                          text=True,
                          env=dict(os.environ, PORT='29612'))
    assert done.returncode == 0, done.stderr[-3000:]
    one = _run('classification', 'GSLoRA', 2)
    assert different(one, tmp_path / 'run') == []
