"""The sequence of requests, end to end, on the files it leaves behind."""
import json

import pandas as pd
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_run import EPOCH_BATCHES, EPOCHS, REQUESTS, run_sequence

from gslora_mm.lora import (fingerprint, load_adapter, merge_state_dict,
                            split_state_dict)

FOLDERS = [f'request_{i:02d}' for i in range(1, len(REQUESTS) + 1)]


def state_of(path):
    return torch.load(path, weights_only=True)['state_dict']


def base_of(run, base, index):
    """Checkpoint that a request (from 0) starts from."""
    return run / FOLDERS[index - 1] / 'merged.pth' if index else base


def read(path):
    return json.loads(path.read_text())


def numbers(metrics):
    """Metrics without what the request is called."""
    return {p: metrics[p] for p in ('paper', 'coco')}


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
    left = [*run.rglob('epoch_*.pth'), *run.rglob('.*-*')]
    assert left == []


def test_every_request_starts_from_the_one_before(run, base):
    for index, folder in enumerate(FOLDERS):
        before = fingerprint(state_of(base_of(run, base, index)))
        _, about = load_adapter(run / folder / 'adapter.safetensors')
        merged = torch.load(run / folder / 'merged.pth', weights_only=True)
        assert about['base_fingerprint'] == before
        assert merged['meta']['gslora']['base_fingerprint'] == before
        after = fingerprint(merged['state_dict'])
        assert merged['meta']['gslora']['merged_fingerprint'] == after
        assert after != before
        assert about['classes'] == REQUESTS[index]


@pytest.mark.parametrize('index', range(len(REQUESTS)))
def test_base_and_adapter_by_hand_are_the_merged_file(run, base, index):
    folder = run / FOLDERS[index]
    state = state_of(base_of(run, base, index))
    adapter, about = load_adapter(folder / 'adapter.safetensors')
    merged = state_of(folder / 'merged.pth')
    expected = dict(state)
    for name in {key.rpartition('.')[0] for key in adapter}:
        up, down = adapter[f'{name}.lora_B'], adapter[f'{name}.lora_A']
        change = (up @ down) * about['scaling'][name]
        weight = state[f'{name}.weight']
        expected[f'{name}.weight'] = torch.where(change == 0, weight,
                                                 weight + change)
        assert not torch.equal(merged[f'{name}.weight'], weight)
    assert list(merged) == list(state)
    assert all(torch.equal(merged[k], expected[k]) for k in state)
    again = merge_state_dict(state, adapter, about['scaling'],
                             about['base_fingerprint'])
    assert fingerprint(again) == fingerprint(merged)


@pytest.mark.parametrize('index', range(len(REQUESTS)))
def test_zero_groups_keep_every_bit(run, base, index):
    folder = run / FOLDERS[index]
    before = state_of(base_of(run, base, index))
    after = state_of(folder / 'merged.pth')
    adapter, about = load_adapter(folder / 'adapter.safetensors')
    report = read(folder / 'groups.json')
    kinds = {True: [], False: []}
    for group in report['groups']:
        kinds[group['zero']].append(group['name'])
        for layer in group['layers']:
            pair = [s[f'{layer}.weight'].numpy() for s in (before, after)]
            same = pair[0].tobytes() == pair[1].tobytes()
            assert same == group['zero']
            assert (f'{layer}.lora_A' in adapter) != group['zero']
        assert group['bit_identical'] == group['zero']
        assert (group['norm'] == 0) == group['zero']
    assert kinds[True] and kinds[False]
    assert about['zero_groups'] == kinds[True]
    assert report['zero_groups'] == len(kinds[True])
    assert report['adapter_bytes'] == (folder /
                                       'adapter.safetensors').stat().st_size


def test_summary_holds_the_metrics(run):
    summary = read(run / 'summary.json')
    table = pd.read_csv(run / 'summary.csv')
    text = (run / 'summary.md').read_text()
    assert summary['base'] == read(run / 'base/report.json')['all']
    assert len(summary['requests']) == len(REQUESTS)
    for row, folder, classes in zip(summary['requests'], FOLDERS, REQUESTS):
        metrics = read(run / folder / 'metrics.json')
        assert numbers(row) == numbers(metrics)
        assert row['classes'] == metrics['classes'] == classes
        assert ', '.join(classes) in text
        assert row['zero_ratio'] == read(run / folder /
                                         'groups.json')['zero_ratio']
        for protocol in ('paper', 'coco'):
            line = table[(table.request == row['request'])
                         & (table.protocol == protocol)].iloc[0]
            assert line.AP_r == pytest.approx(metrics[protocol]['AP_r'])
            assert line.H == pytest.approx(metrics[protocol]['H'])


def test_metrics_compare_with_the_right_models(run):
    """Before is the request before, base the pre-trained model."""
    first, second = (read(run / f / 'metrics.json')['coco'] for f in FOLDERS)
    base = read(run / 'base/report.json')['all']['coco']['per_class']
    assert base['circle'] > 0
    assert first['AP_f_base'] == first['AP_f_before']
    assert first['AP_f_base'] == sum(base[c] for c in REQUESTS[0]) / 2
    assert second['AP_f_base'] == sum(base[c] for c in REQUESTS[1]) / 2
    after_first = first['per_class']
    assert second['AP_f_before'] == sum(after_first[c]
                                        for c in REQUESTS[1]) / 2
    assert second['AP_o'] == sum(second['per_class'][c]
                                 for c in REQUESTS[0]) / 2
    assert first['AP_o'] is None


def test_finished_run_resumed_does_nothing(run, config):

    def files():
        return {
            p: (p.stat().st_mtime_ns, p.read_bytes())
            for p in run.rglob('*')
            if p.is_file() and not p.name.startswith('summary')
        }

    before = files()
    summary = read(run / 'summary.json')
    assert run_sequence(config, run, resume=True) == summary
    assert files() == before
    assert read(run / 'summary.json') == summary


def test_config_of_a_request_is_a_plain_mmengine_run(run, base, tmp_path):
    """mmengine's own runner, given config.py, trains the same weights."""
    cfg = Config.fromfile(run / FOLDERS[0] / 'config.py')
    cfg.work_dir, cfg.experiment_name = str(tmp_path), 'by_hand'
    model = Runner.from_cfg(cfg).train()
    start, adapter = split_state_dict(model.state_dict())
    _, about = load_adapter(run / FOLDERS[0] / 'adapter.safetensors')
    merged = merge_state_dict(start, adapter, about['scaling'])
    expected = state_of(run / FOLDERS[0] / 'merged.pth')
    assert fingerprint(merged) == fingerprint(expected)
