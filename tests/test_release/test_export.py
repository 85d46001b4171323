"""A release is base plus adapters, in a plain checkpoint."""
import hashlib
import json
import shutil

import pytest
import tiny_classifier
import torch
from tiny_classifier import (CLASSES, REQUESTS, base_checkpoint, read_images,
                             tiny_config)

from gslora_mm.lora import load_adapter
from gslora_mm.release import export_release, list_holders
from gslora_mm.utils import ForgetError


def content_of(path):
    return torch.load(path, weights_only=True)


def state_of(path):
    return content_of(path)['state_dict']


def equal(one, two):
    return one.keys() == two.keys() and all(
        torch.equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize('index', [1, 2])
def test_weights_and_meta(classification, tmp_path, index):
    out, report = export_release(
        classification, index, tmp_path / 'out.pth', images=0)
    content = content_of(out)
    assert set(content) == {'meta', 'state_dict'}
    # By hand: base + sum of alpha / r B A, alpha = r.
    expected = state_of(base_checkpoint())
    for i in range(1, index + 1):
        adapter, _ = load_adapter(classification /
                                  f'request_{i:02d}/adapter.safetensors')
        for key in adapter:
            if key.endswith('lora_A'):
                layer = key.removesuffix('.lora_A')
                expected[f'{layer}.weight'] = expected[
                    f'{layer}.weight'] + adapter[f'{layer}.lora_B'].double(
                    ) @ adapter[key].double()
    assert content['state_dict'].keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(
            content['state_dict'][key].double(),
            value.double(),
            rtol=0,
            atol=1e-6)
    assert equal(content['state_dict'],
                 state_of(classification / f'request_0{index}/merged.pth'))
    assert content['meta']['dataset_meta'] == dict(classes=CLASSES)
    about = content['meta']['gslora']
    assert about['forgotten'] == sum(REQUESTS[:index], [])
    assert about['request'] == index
    assert json.loads((tmp_path / 'release.json').read_text()) == json.loads(
        json.dumps(report))


def test_report(classification, tmp_path):
    out, report = export_release(classification, None, tmp_path / 'out.pth')
    assert report['sha256'] == hashlib.sha256(out.read_bytes()).hexdigest()
    before, after = state_of(base_checkpoint()), state_of(out)
    same = {k for k in after if torch.equal(before[k], after[k])}
    assert set(report['tensors']['identical_to_base']) == same
    assert set(report['tensors']['changed']) == set(after) - same
    assert same and len(same) < len(after)
    checks = report['checks']
    assert checks['as_recorded_at_training'] is True
    assert checks['identical_to_merged_pth'] is True
    assert set(checks['made_from'].values()) == {'base and adapters'}
    found = checks['predictions']
    assert found['images'] == 8 and found['identical_to_merged_pth'] is True
    assert 0 < found['largest_gap_to_adapters_unmerged']['scores'] < 1e-5
    for name in checks['untouched']['zero_groups']:
        assert not any(
            key.startswith(f'{name}.') for key in report['tensors']['changed'])


def test_exported_again_it_is_the_same_file(classification, tmp_path):
    first, _ = export_release(
        classification, 2, tmp_path / 'a/one.pth', images=0)
    second, _ = export_release(
        classification, 2, tmp_path / 'b/two.pth', images=0)
    assert first.read_bytes() == second.read_bytes()


def test_a_detector(detection, tmp_path):
    """Two requests, wrapper and plain mmdet model on some images."""
    out, report = export_release(detection, 2, tmp_path / 'out.pth', images=4)
    assert equal(state_of(out), state_of(detection / 'request_02/merged.pth'))
    found = report['checks']['predictions']
    assert found['identical_to_merged_pth'] is True
    assert found['largest_gap_to_adapters_unmerged']['boxes'] < 0.01


def test_plain_mmpretrain_predicts_what_the_run_measured(
        classification, tmp_path):
    out, _ = export_release(classification, 2, tmp_path / 'o.pth', images=0)
    model = tiny_classifier.plain_model(tiny_config())
    model.load_state_dict(state_of(out))
    images, names, _ = read_images()
    found = tiny_classifier.logits_of(model, images).argmax(1)
    labels = torch.tensor([CLASSES.index(name) for name in names])
    metrics = json.loads(
        (classification / 'request_02/metrics.json').read_text())
    for name, value in metrics['top1']['per_class'].items():
        chosen = labels == CLASSES.index(name)
        assert value == pytest.approx(
            (found == labels)[chosen].float().mean().item())


def test_merged_checkpoints_are_not_needed(copied, classification, tmp_path):
    for path in copied.glob('request_*/merged.pth'):
        path.unlink()
    out, report = export_release(copied, 2, tmp_path / 'out.pth', images=2)
    assert 'identical_to_merged_pth' not in report['checks']
    assert equal(
        state_of(out), state_of(classification / 'request_02/merged.pth'))


def test_into_the_run_and_again(copied):
    out, _ = export_release(copied, 1, images=0)
    assert out == copied / 'releases/request_01/release.pth'
    export_release(copied, 1, images=0)


def test_an_adapter_that_was_changed_is_no_release(copied, tmp_path):
    from gslora_mm.lora import save_adapter
    path = copied / 'request_02/adapter.safetensors'
    adapter, about = load_adapter(path)
    key = sorted(adapter)[0]
    adapter[key] = adapter[key] * 2
    save_adapter(path, adapter, about)
    with pytest.raises(ForgetError, match='other weights than'):
        export_release(copied, 2, tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()
    export_release(copied, 1, tmp_path / 'out.pth', images=0)


def test_a_tensor_no_request_trained_is_noticed(copied, tmp_path):
    """Fingerprints and all made to fit: the base still tells."""
    from gslora_mm.lora import fingerprint
    from gslora_mm.release import tensor_checks
    from gslora_mm.release.chain import Chain
    chain = Chain(copied)
    state = dict(chain.remake(2))
    assert fingerprint(state) == chain.meta(2)['merged_fingerprint']
    key = 'backbone.cls_token'
    state[key] = state[key] + 1
    found = tensor_checks.compare_tensors(chain.base()[1], state)
    assert key in found['changed']
    with pytest.raises(ForgetError, match=key):
        tensor_checks.check_untouched(chain, 2, found['identical'])


@pytest.mark.parametrize('given, message', [
    (dict(index=3), 'no finished request 3'),
    (dict(index=0), 'no finished request 0'),
    (dict(base='none.pth'), 'none.pth is gone'),
    (dict(out='request_01/own.pth'), 'among the files of a request'),
])  # yapf: disable
def test_bad_input(copied, tmp_path, given, message):
    if 'out' in given:
        given['out'] = copied / given['out']
    with pytest.raises(ForgetError, match=message):
        export_release(copied, **dict(dict(out=tmp_path / 'o.pth'), **given))


def test_no_other_file_is_replaced(classification, tmp_path):
    (tmp_path / 'release.json').write_text('{}')
    with pytest.raises(ForgetError, match='release.json is there already'):
        export_release(classification, 1, tmp_path / 'o.pth', images=0)


def test_another_base_is_refused(classification, tmp_path):
    state = state_of(base_checkpoint())
    state['head.layers.head.bias' if 'head.layers.head.bias' in
          state else 'head.fc.bias'] += 1
    other = tmp_path / 'other.pth'
    torch.save(dict(state_dict=state), other)
    with pytest.raises(ForgetError, match='not the base checkpoint'):
        export_release(classification, 1, tmp_path / 'o.pth', base=str(other))


def edited_record(folder, change):
    path = folder / 'run.json'
    record = json.loads(path.read_text())
    change(record['config'])
    path.write_text(json.dumps(record))


@pytest.mark.parametrize('change, message', [
    (lambda c: c['val_dataloader']['dataset']['pipeline'].insert(
        0, dict(type='os.system', command='touch ran')), 'os.system'),
    (lambda c: c['val_dataloader']['dataset'].update(type='mmengine.load'),
     'mmengine.load'),
    (lambda c: c.update(custom_imports=dict(imports=['antigravity'])),
     'antigravity'),
])  # yapf: disable
def test_the_record_of_a_run_is_data(copied, tmp_path, change, message):
    edited_record(copied, change)
    with pytest.raises(ForgetError, match=message):
        export_release(copied, 1, tmp_path / 'o.pth')
    # The config of the user's own may do as it likes.
    export_release(
        copied, 1, tmp_path / 'o.pth', config=str(tiny_config()), images=2)


def paths_of(holders):
    return {row['path'] for row in holders if row['inside']}


def test_holders(copied, tmp_path):
    whole = export_release(copied, 2, images=0)[0]
    first = export_release(copied, 1, images=0)[0]
    torch.save(
        dict(state_dict=state_of(base_checkpoint())), copied / 'copy.pth')
    shutil.copy(base_checkpoint(), copied / 'request_02/epoch_3.pth')
    (copied / 'prototypes.safetensors').write_bytes(b'x')
    (copied / 'drawn.png').write_bytes(b'x')
    found = list_holders(copied)
    request = {
        f'request_0{i}/{name}'
        for i in (1, 2)
        for name in ('adapter.safetensors', 'subset.json')
    }
    assert paths_of(found) == request | {
        'request_01/merged.pth', 'copy.pth', 'request_02/epoch_3.pth',
        'prototypes.safetensors', 'drawn.png',
        str(first.relative_to(copied))
    }
    assert str(whole.relative_to(copied)) not in paths_of(found)
    outside = [row['path'] for row in found if not row['inside']]
    assert str(base_checkpoint()) in outside
    merged = next(r for r in found if r['path'] == 'request_01/merged.pth')
    assert 'jade' in merged['reason'] and 'coral' not in merged['reason']


def test_holders_of_the_first_request(classification):
    """What comes later does not hold its classes."""
    found = paths_of(list_holders(classification, 1))
    assert 'request_01/adapter.safetensors' in found
    assert 'request_01/merged.pth' not in found
    assert 'request_02/adapter.safetensors' not in found
    assert 'request_02/merged.pth' not in found
