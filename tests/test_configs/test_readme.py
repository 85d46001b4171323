"""The configs that the README shows."""
import re
from pathlib import Path

import pytest

from gslora_mm.engine import read_config
from gslora_mm.engine.request_config import training_config
from gslora_mm.engine.settings import ForgetSettings
from gslora_mm.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
SHOWN = re.findall(r'```python\n(.*?)```', (ROOT / 'README.md').read_text(),
                   re.DOTALL)


@pytest.mark.parametrize('text', SHOWN, ids=range(len(SHOWN)))
def test_example_can_be_trained(text, tmp_path):
    if 'gslora_mm::' in text and not (ROOT / 'gslora_mm/.mim').exists():
        pytest.skip('gslora_mm is on the path but not installed')
    path = tmp_path / 'my_config.py'
    path.write_text(text)
    cfg = read_config(str(path), {})
    settings = ForgetSettings.from_config(cfg)
    run = training_config(cfg, settings, settings.requests[-1],
                          tmp_path / 'request_02', '', '')
    # mmengine's runner refuses a loop with `by_epoch` besides.
    assert set(run.train_cfg) - {'_scope_'} == {'type', 'max_epochs'}
    averaged = 'gslora_mm.LoRAEMAHook' in [h['type'] for h in run.custom_hooks]
    assert averaged == ('ema=' in text)
    batch = run.train_dataloader.batch_size
    assert 0 < settings.data['forget_per_batch'] < batch
    if 'bbox_head' not in cfg.model:
        model = MODELS.build(run.model)
        assert len(model.groups) == len(model.backbone.layers)
        assert model.method.bound > model.forget_margin == 10
        assert type(model.method).__name__ == run.model.method.type
