"""The shipped base models against the configs that start from them."""
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from gslora_mm.datasets.shapes import SHAPES, draw_single
from gslora_mm.engine.tasks import task_of
from gslora_mm.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]


def _shipped(config):
    """The plain model of a config, and the weights that it starts from."""
    cfg = Config.fromfile(str(ROOT / config))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(task_of(cfg).plain_model(cfg))
    path = ROOT / cfg.load_from
    return model, path, torch.load(path, weights_only=True)['state_dict']


@pytest.mark.parametrize('config, megabytes', [
    ('configs/gslora/ddetr_shapes_forget.py', 12),
    ('configs/gslora/vit_shapes_forget.py', 8),
])
def test_fits_the_model_and_is_small(config, megabytes):
    model, path, state = _shipped(config)
    model.load_state_dict(state, strict=True)
    assert path.stat().st_size <= megabytes * 1e6
    assert path.with_suffix('.log.json').is_file()


def test_classifier_knows_its_shapes():
    """On images drawn here, none of which it was trained on."""
    model, _, state = _shipped('configs/gslora/vit_shapes_forget.py')
    model.load_state_dict(state)
    model.eval()
    rng = np.random.default_rng(12345)
    labels = np.repeat(np.arange(len(SHAPES)), 8)
    images = np.stack([draw_single(rng, label, 48) for label in labels])
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2)
    with torch.no_grad():
        batch = model.data_preprocessor(dict(inputs=inputs))
        found = model(batch['inputs'], mode='predict')
    right = [int(s.pred_label) == label for s, label in zip(found, labels)]
    assert np.mean(right) >= .95
