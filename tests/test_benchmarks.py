"""The benchmarks run; what they measure is no matter of a test."""
import json
import subprocess
import sys
from pathlib import Path

import torch
from mmdet.registry import MODELS

from gslora_mm.engine import read_config
from gslora_mm.models.cpu_deformable_attention import available

REPO = Path(__file__).resolve().parents[1]
CONFIG = REPO / 'configs/gslora/ddetr_shapes_forget.py'


def _small_data(root):
    """Options for a data set that is generated in no time."""
    return [
        f'{split}_dataloader.dataset.{option}' for split in ('train', 'val')
        for option in (f'data_root={root}', 'recipe.num_train=60',
                       'recipe.num_val=8')
    ]


def test_benchmarks_write_their_results(tmp_path):
    torch.manual_seed(0)
    checkpoint = tmp_path / 'base.pth'
    model = MODELS.build(read_config(str(CONFIG)).model)
    # Some of its parameters are memory as it was found until then.
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    done = subprocess.run([
        sys.executable, REPO / 'benchmarks/run.py', '--only', 'step',
        'attention', '--tiny', '--repeats', '1', '--checkpoint', checkpoint,
        '--out', tmp_path / 'out', '--cfg-options', 'forget.data.ratio=1.0',
        *_small_data(tmp_path / 'data')
    ],
                          cwd=tmp_path,
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / 'out/results.json').read_text())
    request, fused, mmdet, *attention = results['rows']
    assert request['ratio'] > 0 and request['ok'] is not None
    assert fused['ratio'] > 0 and fused['ok'] is None
    assert fused['detail']['loss_difference'] < 1e-4
    assert mmdet['ratio'] > 0 and mmdet['ok'] is None
    assert bool(attention) == (available() and not torch.cuda.is_available())
    for line in attention:
        assert line['ratio'] > 0
        assert line['detail'].get('max_difference', 0) < 1e-4
    assert results['environment']['torch'] == torch.__version__
    assert fused['name'] in (tmp_path / 'out/results.md').read_text()


def test_a_step_without_lora(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(REPO)
    monkeypatch.chdir(tmp_path)
    from benchmarks.common import Setting
    from benchmarks.training_parts import forgetting_parts, forgetting_step
    keys = dict(o.split('=') for o in _small_data(tmp_path / 'data'))
    options = {k: int(v) if v.isdigit() else v for k, v in keys.items()}
    parts = forgetting_parts(
        Setting(
            str(REPO / 'data/ddetr_shapes.pth'),
            str(tmp_path),
            options=options,
            config_file='configs/gslora/ddetr_shapes_counterfactual_deep.py'),
        1, 1)  # yapf: disable
    before = {k: v.clone() for k, v in parts.model.named_parameters()}
    parts.model.method.begin(parts.model, {})
    forgetting_step(parts)()
    assert not len(parts.model.groups)
    assert any(not v.equal(before[k])
               for k, v in parts.model.named_parameters())  # yapf: disable
