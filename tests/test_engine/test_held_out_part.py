"""A detector measured on a part of a COCO file that is held out."""
import json
from pathlib import Path

import tiny_run
import torch

from gslora_mm.datasets import SHAPES, HeldOutCoco
from gslora_mm.engine import read_config
from gslora_mm.engine.evaluate import evaluate_state
from gslora_mm.engine.settings import ForgetSettings


def measured(folder, **dataset):
    """The config's data set, and the report of the base model on it."""
    tiny, path = tiny_run.tiny_config(), folder / 'config.py'
    data = read_config(str(tiny)).val_dataloader.dataset
    dataset = dict(
        data_root=data.data_root,
        data_prefix=data.data_prefix.to_dict(),
        metainfo=dict(classes=tuple(SHAPES)),
        pipeline=[dict(step) for step in data.pipeline],
        test_mode=True,
        **dataset)
    path.write_text(f'_base_ = {str(tiny)!r}\nval_dataloader = dict('
                    f'dataset=dict(_delete_=True, **{dataset!r}))')
    cfg = read_config(str(path))
    settings = ForgetSettings.from_config(cfg)
    state = torch.load(
        tiny_run.base_checkpoint(), weights_only=True)['state_dict']
    report = evaluate_state(cfg, settings, state, 'base', settings.requests,
                            folder, 'base')
    return data, report


def test_truth_is_that_of_the_part(tmp_path):
    """The same as of a file that lists nothing else."""
    for name in ('part', 'file'):
        (tmp_path / name).mkdir()
    data, found = measured(
        tmp_path / 'part',
        type='gslora_mm.HeldOutCoco',
        ann_file='annotations/val.json',
        part='held_out',
        share=.4)
    content = json.loads(
        Path(data.data_root, 'annotations/val.json').read_text())
    kept = {
        info['img_id']
        for info in HeldOutCoco(
            data_root=data.data_root,
            data_prefix=data.data_prefix,
            ann_file='annotations/val.json',
            pipeline=[],
            metainfo=dict(classes=tuple(SHAPES)),
            part='held_out',
            share=.4)
    }
    assert 5 < len(kept) < len(content['images']) / 2
    content['images'] = [i for i in content['images'] if i['id'] in kept]
    content['annotations'] = [
        a for a in content['annotations'] if a['image_id'] in kept
    ]
    part = tmp_path / 'part.json'
    part.write_text(json.dumps(content))
    _, wanted = measured(
        tmp_path / 'file', type='mmdet.CocoDataset', ann_file=str(part))
    assert found == wanted
    assert found['all']['coco']['AP'] > 0
