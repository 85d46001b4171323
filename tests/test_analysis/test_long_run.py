"""Cost, drift and returning classes of a sequence, against the files."""
import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test_engine'))
import tiny_classifier  # noqa: E402

from gslora_mm.analysis import long_run  # noqa: E402
from gslora_mm.lora import load_adapter  # noqa: E402
from gslora_mm.utils import read_json, write_json  # noqa: E402


@pytest.fixture(scope='module')
def run():
    return tiny_classifier.finished_run()


def _state(path):
    return torch.load(path, weights_only=True)['state_dict']


def test_drift_is_that_of_the_weights(run):
    """By hand: base and adapters in double, against the last merged file."""
    table = long_run.measure_long_run(run)
    weights = {
        k: v.double()
        for k, v in _state(tiny_classifier.base_checkpoint()).items()
    }
    for folder in ('request_01', 'request_02'):
        adapter, about = load_adapter(run / folder / 'adapter.safetensors')
        for key in [k for k in adapter if k.endswith('lora_A')]:
            layer = key.removesuffix('.lora_A')
            weights[f'{layer}.weight'] = weights[f'{layer}.weight'] + about[
                'scaling'][layer] * adapter[f'{layer}.lora_B'].double(
                ) @ adapter[key].double()
    merged = _state(run / 'request_02/merged.pth')
    gap = max(
        float((merged[k].double() - v).abs().max())
        for k, v in weights.items())
    assert table['drift'].iloc[-1] == pytest.approx(gap)
    assert 0 < gap < 1e-6
    assert 0 < table['drift_relative'].iloc[-1] < 1e-5


def test_a_class_that_comes_back_is_named(run, tmp_path):
    copy = tmp_path / 'run'
    shutil.copytree(run, copy)
    path = copy / 'request_02/metrics.json'
    metrics = read_json(path)
    metrics['top1']['per_class'].update(amber=.75, coral=.25)
    write_json(path, metrics)
    text = long_run.analyze_long_run(copy)
    assert 'after a later request: 0.750 (amber, request 2)' in text
    for name in ('sequence.csv', 'sequence.md', 'sequence.png'):
        assert (copy / 'analysis' / name).stat().st_size


def test_cost(run):
    table = long_run.measure_long_run(run)
    assert list(table['request']) == [1, 2]
    assert table['seconds'][1] == read_json(
        run / 'request_02/training.json')['seconds']
    assert table['disk_mb'][0] * 2**20 > (
        run / 'request_01/merged.pth').stat().st_size
    assert table['worst'].isna().tolist() == [True, False]
