"""A merged checkpoint in plain mmdet, without this package."""
import os
import subprocess
import sys
from pathlib import Path

import torch
from mmdet.apis import inference_detector
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny_run import shared_folder

from gslora_mm.engine.tasks import task_of
from gslora_mm.lora import load_adapter

SCRIPT = Path(__file__).with_name('plain_detect.py')
PLAIN = ('default_scope', 'model', 'test_dataloader')


def test_merged_checkpoint_detects_the_same_in_plain_mmdet(
        run, base, config, tmp_path):
    whole = Config.fromfile(config)
    images = sorted((shared_folder() / 'shapes/val').glob('*.jpg'))[:6]
    plain = _plain_config(whole, tmp_path / 'plain.py')
    merged = run / 'request_01/merged.pth'
    alone = _detect_alone(plain, merged, tmp_path, images)
    wrapped = _wrapped(whole, base, run / 'request_01/adapter.safetensors')
    found = _detect(wrapped, images)
    assert len(found) == len(alone) == len(images)
    for one, two in zip(alone, found):
        assert len(one['scores'])
        assert torch.equal(one['labels'], two['labels'])
        for key in ('bboxes', 'scores'):
            torch.testing.assert_close(one[key], two[key], rtol=0, atol=1e-5)
    # The LoRA weights matter: without them other detections come out.
    for name, param in wrapped.named_parameters():
        if name.endswith('lora_B'):
            param.data.zero_()
    unchanged = _detect(wrapped, images)
    assert max((a['scores'] - b['scores']).abs().max()
               for a, b in zip(alone, unchanged)) > 1e-3


def _plain_config(whole, path):
    """A config of mmdet's own, which names nothing of this package."""
    content = {k: whole[k] for k in PLAIN}
    content['model'] = task_of(whole).plain_model(whole)
    data = content['test_dataloader']['dataset']
    data['type'] = 'CocoDataset'
    data.pop('recipe')
    Config(content).dump(path)
    assert 'gslora_mm' not in path.read_text()
    return path


def _detect_alone(config, checkpoint, folder, images):
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    out = folder / 'found.pt'
    done = subprocess.run(
        [sys.executable, SCRIPT, config, checkpoint, out, *images],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=600)
    assert done.returncode == 0, done.stderr
    return torch.load(out)


def _wrapped(whole, base, adapter):
    """The forgetting wrapper with base and adapter, not merged."""
    init_default_scope('mmdet')
    model = MODELS.build(
        dict(
            type='gslora_mm.ForgettingDetector',
            detector=task_of(whole).plain_model(whole),
            method=whole.forget.method,
            lora=whole.forget.lora)).eval()
    model.init_weights()
    weights, about = load_adapter(adapter)
    state = torch.load(base, weights_only=True)['state_dict']
    missing, unexpected = model.load_state_dict({
        **state,
        **weights
    },
                                                strict=False)
    assert not unexpected
    # Zero groups are left out of the file.
    assert missing and all(
        any(key.startswith(group) for group in about['zero_groups'])
        for key in missing)
    model.cfg = whole
    return model


def _detect(model, images):
    found = [inference_detector(model, str(i)).pred_instances for i in images]
    return [{k: f[k] for k in ('bboxes', 'scores', 'labels')} for f in found]
