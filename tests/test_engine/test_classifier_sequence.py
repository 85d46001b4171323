"""The sequence of requests of a classifier, on the files it leaves behind."""
import json
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from kill_and_resume import differences
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_classifier import (CLASSES, EPOCH_BATCHES, EPOCHS, REQUESTS, TRAIN,
                             UNSEEN, base_checkpoint, finished_run, logits_of,
                             plain_model, read_images, tiny_config,
                             write_config, write_images)
from tiny_run import run_sequence

from gslora_mm.lora import (fingerprint, load_adapter, merge_state_dict,
                            split_state_dict)

FOLDERS = [f'request_{i:02d}' for i in range(1, len(REQUESTS) + 1)]


@pytest.fixture(scope='module')
def base():
    """The base checkpoint of the tiny run."""
    return base_checkpoint()


@pytest.fixture(scope='module')
def config():
    """The config of the tiny run."""
    return tiny_config()


@pytest.fixture(scope='module')
def run():
    """Folder of the finished tiny run; read only."""
    return finished_run()


def state_of(path):
    return torch.load(path, weights_only=True)['state_dict']


def read(path):
    return json.loads(path.read_text())


def hits(config, checkpoint):
    """dict[str, ndarray]: Whether each image of a class is recognised."""
    model = plain_model(config)
    model.load_state_dict(state_of(checkpoint))
    images, names, _ = read_images()
    found = logits_of(model, images).argmax(1).tolist()
    return {
        name:
        np.array([
            CLASSES[label] == name for label, truth in zip(found, names)
            if truth == name
        ])
        for name in CLASSES
    }


def accuracy(of_class, names):
    return np.concatenate([of_class[n] for n in names]).mean()


@pytest.mark.parametrize('folder', FOLDERS)
def test_artefacts_of_a_request(run, folder):
    for name in ('adapter.safetensors', 'merged.pth', 'metrics.json',
                 'groups.json', 'subset.json', 'config.py', 'training.json'):
        assert (run / folder / name).stat().st_size, name
    logs = list((run / folder).rglob('*.log'))
    assert any('LoRA inserted' in log.read_text() for log in logs)
    cost = read(run / folder / 'training.json')
    assert cost['iterations'] == EPOCHS * EPOCH_BATCHES
    assert cost['epochs'] == EPOCHS and not cost['resumed']
    assert len(read(run / folder / 'groups.json')['history']) == EPOCHS


def test_artefacts_of_the_run(run):
    for name in ('summary.json', 'summary.csv', 'summary.md', 'run.json',
                 'base/report.json'):
        assert (run / name).stat().st_size, name
    assert list(run.rglob('epoch_*.pth')) == []


@pytest.mark.parametrize('index', range(len(REQUESTS)))
def test_base_and_adapter_by_hand_are_the_merged_file(run, base, index):
    before = run / FOLDERS[index - 1] / 'merged.pth' if index else base
    state = state_of(before)
    merged = torch.load(run / FOLDERS[index] / 'merged.pth', weights_only=True)
    adapter, about = load_adapter(run / FOLDERS[index] / 'adapter.safetensors')
    assert about['classes'] == REQUESTS[index]
    assert merged['meta']['dataset_meta']['classes'] == CLASSES
    assert list(merged['state_dict']) == list(state)
    report = read(run / FOLDERS[index] / 'groups.json')
    moved = {
        f'{layer}.weight'
        for group in report['groups'] if not group['zero']
        for layer in group['layers']
    }
    # Groups of both kinds, and every bit outside the moved ones is kept.
    assert 0 < len(moved) < 6
    for key, value in merged['state_dict'].items():
        assert torch.equal(value, state[key]) == (key not in moved), key
        if key in moved:
            layer = key.rpartition('.')[0]
            change = adapter[f'{layer}.lora_B'] @ adapter[f'{layer}.lora_A']
            torch.testing.assert_close(
                value, state[key] + about['scaling'][layer] * change)


@pytest.mark.parametrize('index', range(len(REQUESTS)))
def test_metrics_are_those_of_the_plain_merged_model(run, base, config, index):
    """Counted by hand, in plain mmpretrain on images read by cv2."""
    found = read(run / FOLDERS[index] / 'metrics.json')
    assert found['classes'] == REQUESTS[index]
    found = found['top1']
    own = hits(config, run / FOLDERS[index] / 'merged.pth')
    first = hits(config, base)
    gone = [name for request in REQUESTS[:index] for name in request]
    stay = [c for c in CLASSES if c not in [*gone, *REQUESTS[index]]]
    assert found['per_class'] == {c: own[c].mean() for c in CLASSES}
    assert found['Acc_f'] == accuracy(own, REQUESTS[index])
    assert found['Acc_r'] == accuracy(own, stay)
    assert found['Acc_m'] == accuracy(own, UNSEEN)
    assert found['Acc_o'] == (accuracy(own, gone) if gone else None)
    assert found['Acc_f_base'] == accuracy(first, REQUESTS[index]) > 0.9
    assert found['Acc_r_base'] == accuracy(first, stay) > 0.9
    kept, dropped = found['Acc_r'], found['Acc_f_base'] - found['Acc_f']
    assert dropped > 0
    assert found['H'] == pytest.approx(2 * kept * dropped / (kept + dropped))
    assert 'margin' not in read(run / FOLDERS[index] / 'metrics.json')


def test_metrics_compare_with_the_right_models(run, config):
    """Before is the request before, base the pre-trained model."""
    first, second = (read(run / f / 'metrics.json')['top1'] for f in FOLDERS)
    base = read(run / 'base/report.json')['all']['top1']
    assert first['Acc_f_before'] == first['Acc_f_base']
    assert first['Acc_r_before'] == first['Acc_r_base']
    middle = hits(config, run / FOLDERS[0] / 'merged.pth')
    assert second['Acc_f_before'] == accuracy(middle, REQUESTS[1])
    assert base['per_class']['jade'] == second['Acc_f_base']


def test_summary_holds_the_metrics(run):
    summary = read(run / 'summary.json')
    table = pd.read_csv(run / 'summary.csv')
    text = (run / 'summary.md').read_text()
    assert summary['base'] == read(run / 'base/report.json')['all']
    assert f'accuracy {summary["base"]["top1"]["Acc"]:.3f} over all' in text
    assert 'Acc_o' in text and 'Acc_m' in text and 'AP' not in text
    for row, folder, classes in zip(summary['requests'], FOLDERS, REQUESTS):
        metrics = read(run / folder / 'metrics.json')
        assert row['top1'] == metrics['top1']
        assert ', '.join(classes) in text
        line = table[table.request == row['request']].iloc[0]
        assert line.protocol == 'top1'
        for name in ('Acc_f', 'Acc_r', 'Acc_m', 'H'):
            assert line[name] == pytest.approx(metrics['top1'][name])
            assert f'{metrics["top1"][name]:.3f}' in text


@pytest.mark.parametrize('index', range(len(REQUESTS)))
def test_images_that_training_used(run, index):
    """Half of every class, none of unseen or forgotten ones."""
    chosen = read(run / FOLDERS[index] / 'subset.json')
    _, _, paths = read_images('train')
    gone = [name for request in REQUESTS[:index] for name in request]
    stay = {*CLASSES} - {*gone, *REQUESTS[index], *UNSEEN}
    for stream, classes in (('forget', REQUESTS[index]), ('retain', stay)):
        found = chosen[stream]['file_names']
        assert found == chosen[stream]['img_ids']
        assert set(found) <= {f'{p.parent.name}/{p.name}' for p in paths}
        counts = Counter(name.partition('/')[0] for name in found)
        assert counts == {name: TRAIN // 2 for name in classes}


def test_finished_run_resumed_does_nothing(run, config):

    def files():
        return {
            p: (p.stat().st_mtime_ns, p.read_bytes())
            for p in run.rglob('*') if p.is_file()
            and not p.name.startswith('summary') and p.name != '.lock'
        }

    before = files()
    summary = read(run / 'summary.json')
    assert run_sequence(config, run, resume=True) == summary
    assert files() == before
    assert read(run / 'summary.json') == summary


def test_evaluation_that_was_killed(run, config, tmp_path):
    copy = tmp_path / 'run'
    shutil.copytree(run, copy)
    merged = (copy / 'request_02/merged.pth').stat().st_mtime_ns
    for name in ('report.json', 'metrics.json'):
        (copy / 'request_02' / name).unlink()
    run_sequence(config, copy, resume=True)
    assert (copy / 'request_02/merged.pth').stat().st_mtime_ns == merged
    assert list(differences(run, copy)) == []


def test_config_of_a_request_is_a_plain_mmengine_run(run, tmp_path):
    """mmengine's own runner, given config.py, trains the same weights."""
    cfg = Config.fromfile(run / FOLDERS[0] / 'config.py')
    cfg.work_dir, cfg.experiment_name = str(tmp_path), 'by_hand'
    model = Runner.from_cfg(cfg).train()
    start, adapter = split_state_dict(model.state_dict())
    _, about = load_adapter(run / FOLDERS[0] / 'adapter.safetensors')
    merged = merge_state_dict(start, adapter, about['scaling'])
    expected = state_of(run / FOLDERS[0] / 'merged.pth')
    assert fingerprint(merged) == fingerprint(expected)


@pytest.fixture(scope='module')
def margin_run(tmp_path_factory):
    """Another sequence: class names listed, few shots, a cosine head.

    Of the unseen class there are images, which training must not use.
    """
    folder = tmp_path_factory.mktemp('cosface')
    config = write_config(
        folder / 'cosface.py',
        'cosface',
        requests=[['beryl']],
        unseen=['ebony'],
        data_root=str(write_images(folder / 'images', train=3, unseen=())),
        epochs=1,
        epoch_batches=2)
    options = {
        'train_dataloader.dataset.metainfo': dict(classes=list(CLASSES)),
        'forget.data.shots': 2,
        # Half forgotten, so that the two accuracies differ.
        'optim_wrapper.optimizer.lr': 0.05
    }
    run_sequence(config, folder / 'run', **options)
    return config, folder / 'run'


def test_cosine_head_has_the_accuracy_with_margin_beside_the_main_one(
        margin_run):
    config, folder = margin_run
    row = read(folder / 'summary.json')['requests'][0]
    model = plain_model(config)
    model.load_state_dict(state_of(folder / 'request_01/merged.pth'))
    images, names, _ = read_images('val', folder.parent / 'images')
    labels = np.array([CLASSES.index(name) for name in names])
    scores = logits_of(model, images).numpy()
    assert row['top1']['Acc_r'] == (
        scores.argmax(1) == labels)[labels != 1].mean()
    # The label loses scale times margin.
    scores[range(len(labels)), labels] -= 64 * 0.35
    own = scores.argmax(1) == labels
    assert row['margin']['Acc_r'] == own[labels != 1].mean()
    assert row['margin']['Acc_f'] == own[labels == 1].mean()
    assert row['margin']['Acc_r'] < row['top1']['Acc_r']
    # Of six classes, the true one may be among the first five.
    assert row['top1']['Acc5_f'] >= row['top1']['Acc_f']


def test_cosine_head_is_bounded_as_published(margin_run):
    _, folder = margin_run
    log, = (folder / 'request_01').rglob('scalars.json')
    first = json.loads(log.read_text().splitlines()[0])
    assert first['forget/cls'] > 0
    # beta (BND - CE)
    expected = 2. * (105. - first['forget/cls'])
    assert first['loss_forget'] == pytest.approx(expected, rel=1e-5)


def test_few_shots_of_every_class_but_the_unseen(margin_run):
    _, folder = margin_run
    chosen = read(folder / 'request_01/subset.json')
    counts = {
        stream:
        Counter(
            name.partition('/')[0] for name in chosen[stream]['file_names'])
        for stream in ('forget', 'retain')
    }
    assert counts['forget'] == dict(beryl=2)
    assert counts['retain'] == {
        name: 2
        for name in CLASSES if name not in ('beryl', 'ebony')
    }
