"""The method of your own in docs/compare.md."""
import math
import re
from pathlib import Path

import pytest
import tiny_classifier
import tiny_run
import torch

from gslora_mm.engine.compare import read_method
from gslora_mm.engine.config_file import read_config
from gslora_mm.models.stream_loss import StreamLoss
from gslora_mm.registry import METHODS

REPO = Path(__file__).resolve().parents[2]


def _blocks():
    text = (REPO / 'docs/compare.md').read_text()
    return re.findall(r'```python\n(.*?)```', text, re.DOTALL)


def test_example_of_the_docs_is_short():
    method, config = _blocks()
    assert len((method + config).splitlines()) <= 60


@pytest.mark.parametrize('module', [tiny_classifier, tiny_run])
def test_example_of_the_docs_runs(module, tmp_path, monkeypatch):
    method, config = _blocks()
    (tmp_path / 'my_forgetting.py').write_text(method)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / 'soft_ascent.py'
    path.write_text(config)
    base = module.write_config(tmp_path / 'base.py')
    found = read_method(path, read_config(str(base)))
    options = {**found.options, 'optim_wrapper.optimizer.lr': .002}
    detects = module is tiny_run
    assert options['forget.method'].get('scale') == (1. if detects else None)
    assert [a.name for a in found.search] == ['lr', 'weight']
    summary = tiny_run.run_sequence(base, tmp_path / 'run', **options)
    assert len(summary['requests']) == 2
    assert summary['requests'][0]['trained_ratio'] > .5
    log = (tmp_path / 'run/request_01/training.json').read_text()
    assert '"iterations": ' in log
    kind = METHODS.get('SoftAscent')
    one = StreamLoss([torch.tensor(2.)], dict(bbox=torch.tensor(4.)))
    terms = kind(weight=3., scale=2.).losses(one, None, None)
    assert terms['loss_forget'] == pytest.approx(3 * math.exp(-1))
