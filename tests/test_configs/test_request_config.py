"""The config of one request, as mmengine writes it."""
from pathlib import Path

import pytest
from classifier_configs import load
from mmengine.config import Config

from gslora_mm.engine.request_config import evaluation_config, training_config
from gslora_mm.engine.settings import ForgetSettings


@pytest.fixture(params=['training', 'evaluation'])
def run(request):
    cfg = load('gslora/vit_shapes_forget')
    settings = ForgetSettings.from_config(cfg)
    work_dir = Path('work/request_01')
    if request.param == 'training':
        return training_config(cfg, settings, settings.requests[0], work_dir,
                               'base.pth', 'print')
    return evaluation_config(cfg, settings, settings.requests, work_dir, '')


def test_text_is_cheap_readable_and_loadable(run, tmp_path, monkeypatch):

    def slow(*args, **kwargs):
        raise AssertionError('yapf was called')

    monkeypatch.setattr('mmengine.config.config.FormatCode', slow)
    run.dump(str(tmp_path / 'config.py'))
    lines = (tmp_path / 'config.py').read_text().splitlines()
    # A key on a line.
    assert len(lines) > 100 and max(map(len, lines)) < 110
    assert Config.fromfile(tmp_path / 'config.py').to_dict() == run.to_dict()
