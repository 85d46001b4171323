"""When the base's report of a run can stand for a test of its own."""
import json
import shutil

import pytest
import torch
from tiny_classifier import base_checkpoint, write_config

from gslora_mm.engine import read_config
from gslora_mm.engine.config_file import config_content
from gslora_mm.engine.test_checkpoint import CheckpointTest
from gslora_mm.lora import fingerprint


def known(folder, **changes):
    """Whether the report of a run is taken, by a config with changes."""
    config = write_config(folder / 'own.py')
    content = config_content(read_config(str(config)))
    state = torch.load(base_checkpoint(), weights_only=True)['state_dict']
    record = dict(config=content, base_fingerprint=fingerprint(state))
    for name in ('base', 'request_01'):
        (folder / 'run' / name).mkdir(parents=True, exist_ok=True)
    (folder / 'run/run.json').write_text(json.dumps(record))
    report = dict(all=dict(top1=dict(Acc=.5)), sets={})
    (folder / 'run/base/report.json').write_text(json.dumps(report))
    merged = shutil.copy(base_checkpoint(), folder / 'run/request_01/m.pth')
    cfg = read_config(str(config), changes)
    return CheckpointTest(cfg, merged, request=1).base_report is not None


@pytest.mark.parametrize('key, value, same', [
    ('train_dataloader.batch_size', 6, True),
    ('forget.method.beta', 3., True),
    ('data_preprocessor.mean', [0., 0., 0.], False),
    ('data_preprocessor.to_rgb', False, False),
    ('model.head.cal_acc', True, False),
    ('val_dataloader.dataset.pipeline', [dict(type='PackInputs')], False),
    ('forget.requests', [['jade']], False),
    ('forget.unseen', ['ivory', 'ebony'], False),
])
def test_report_of_another_measure_is_not_taken(tmp_path, key, value, same):
    assert known(tmp_path, **{key: value}) == same
