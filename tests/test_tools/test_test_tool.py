"""tools/test.py measures what tools/train.py wrote."""
import json

import cv2
import pytest
from tool_calls import call

NUMBERS = ('AP_f', 'AP_r', 'AP_o', 'AP50_f', 'AP50_r', 'H', 'AP_f_base',
           'AP_r_base', 'retention', 'per_class')


def measured(tmp_path, *args):
    out = tmp_path / 'numbers.json'
    assert call('test', *args, '--out', out, '--work-dir',
                tmp_path / 'logs') is None
    return json.loads(out.read_text())


def expected(run, index):
    return json.loads((run / f'request_0{index}/metrics.json').read_text())


def assert_same(found, metrics):
    assert found['classes'] == metrics['classes']
    for protocol in ('paper', 'coco'):
        assert metrics[protocol]['AP_r'] > 0
        for name in NUMBERS:
            assert found[protocol][name] == metrics[protocol][name], name


@pytest.mark.parametrize('index', [1, 2])
def test_merged_checkpoint(config, run, tmp_path, index, capsys):
    found = measured(tmp_path, config, run / f'request_0{index}/merged.pth')
    assert_same(found, expected(run, index))
    printed = capsys.readouterr().out
    assert ', '.join(found['classes']) in printed
    assert 'base model' not in printed


def test_base_and_adapter(config, run, base, tmp_path):
    """The base lies outside the run, so it is measured as well."""
    found = measured(tmp_path, config, base, '--adapter',
                     run / 'request_01/adapter.safetensors')
    assert_same(found, expected(run, 1))


def test_result_of_a_request_and_the_next_adapter(config, run, tmp_path):
    found = measured(tmp_path, config, run / 'request_01/merged.pth',
                     '--adapter', run / 'request_02/adapter.safetensors')
    assert_same(found, expected(run, 2))


def test_base_alone_loses_nothing(config, run, base, tmp_path):
    found = measured(tmp_path, config, base, '--request', 1)
    metrics = expected(run, 1)
    for protocol in ('paper', 'coco'):
        numbers = found[protocol]
        assert numbers['AP_f'] == metrics[protocol]['AP_f_base']
        assert numbers['AP_r'] == metrics[protocol]['AP_r_base']
        assert numbers['H'] == 0 and numbers['retention'] == 1


def test_other_classes_are_not_compared_with_the_cached_base(
        config, run, tmp_path):
    """The base's report in the run is of the run's requests alone."""
    found = measured(tmp_path, config, run / 'request_01/merged.pth',
                     '--cfg-options', 'forget.requests=[[rectangle,arrow]]')
    base = json.loads((run / 'base/report.json').read_text())
    per_class = base['all']['coco']['per_class']
    assert found['coco']['AP_f_base'] == pytest.approx(
        (per_class['rectangle'] + per_class['arrow']) / 2)


def test_drawings(config, run, tmp_path):
    call('test', config, run / 'request_01/merged.pth', '--work-dir',
         tmp_path / 'logs', '--show-dir', tmp_path / 'drawn', '--show-num', 3,
         '--show-score', 0.0)
    drawn = sorted((tmp_path / 'drawn').glob('*.png'))
    assert len(drawn) == 3
    height, width, _ = cv2.imread(str(drawn[0])).shape
    assert width == 2 * (height - 22)
