"""What an adapter says of itself beside its file."""
import json

import mmdet
import mmengine
import torch
from tiny_classifier import REQUESTS, base_checkpoint

import gslora_mm
from gslora_mm.lora import fingerprint, load_adapter


def test_sidecar_is_the_metadata(classification, detection):
    for folder in (*classification.glob('request_*'),
                   *detection.glob('request_*')):
        about = json.loads((folder / 'adapter.json').read_text())
        tensors, metadata = load_adapter(folder / 'adapter.safetensors')
        assert about == metadata
        zero = [g['name'] for g in about['groups'] if g['zero']]
        assert zero == about['zero_groups']
        layers = {key.rpartition('.')[0] for key in tensors}
        for group in about['groups']:
            assert group['zero'] != bool(layers & {*group['layers']})


def test_content(classification, detection):
    about = json.loads(
        (classification / 'request_02/adapter.json').read_text())
    record = json.loads((classification / 'run.json').read_text())
    states = [
        torch.load(path, weights_only=True)['state_dict']
        for path in (base_checkpoint(),
                     *(classification / f'request_0{i}/merged.pth'
                       for i in (1, 2)))
    ]
    assert about['original_fingerprint'] == fingerprint(states[0])
    assert about['base_fingerprint'] == fingerprint(states[1])
    assert about['merged_fingerprint'] == fingerprint(states[2])
    assert about['config_digest'] == record['config_digest']
    assert about['reversible'] is True and 'still' in about['note']
    assert (about['request'], about['classes']) == (2, REQUESTS[1])
    assert about['forgotten'] == REQUESTS[0] + REQUESTS[1]
    assert about['method']['type'] == 'GSLoRA'
    assert about['method']['beta'] == 2
    assert set(about['rank'].values()) == {2}
    assert about['versions'] == dict(
        gslora_mm=gslora_mm.__version__,
        torch=str(torch.__version__),
        mmengine=mmengine.__version__,
        mmpretrain=about['versions']['mmpretrain'])
    about = json.loads((detection / 'request_01/adapter.json').read_text())
    assert about['versions']['mmdet'] == mmdet.__version__
