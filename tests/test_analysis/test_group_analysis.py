import hashlib
import json
import math

import pandas as pd
import pytest
import torch
from fake_run import (BLOCKS, FFN, base_state, load_merged, make_run,
                      save_merged)
from safetensors.torch import load_file

from gslora_mm.analysis import analyze_groups, report_groups
from gslora_mm.lora import fingerprint
from gslora_mm.utils import ForgetError


def states(work_dir, count=2):
    return [base_state()] + [
        load_merged(work_dir / f'request_{i:02d}')[0]
        for i in range(1, count + 1)
    ]


def raw(tensor):
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


def test_numbers_by_brute_force(tmp_path):
    work_dir = make_run(tmp_path)
    report = analyze_groups(work_dir)
    chain = states(work_dir)
    assert report['ok'] and not report['skipped']
    for t, row in enumerate(report['requests']):
        adapter = load_file(work_dir / f'request_{t + 1:02d}' /
                            'adapter.safetensors')
        before, after = chain[t], chain[t + 1]
        for group, block in zip(row['groups'], BLOCKS):
            names = [f'{block}.{n}' for n in FFN]
            mine = [
                v.numpy().ravel() for k, v in adapter.items()
                if k.startswith(block + '.')
            ]
            norm = math.sqrt(sum(float(x)**2 for v in mine for x in v))
            moved = math.sqrt(
                sum((float(a) - float(b))**2 for n in names
                    for a, b in zip(before[f'{n}.weight'].ravel(),
                                    after[f'{n}.weight'].ravel())))
            assert group['norm'] == pytest.approx(norm)
            assert group['update_norm'] == pytest.approx(moved)
            assert group['zero'] == (not mine)
            for key in names:
                same = raw(before[f'{key}.weight']) == raw(
                    after[f'{key}.weight'])
                assert group['bit_identical'] == same
            assert group['same_as_original'] == all(
                raw(chain[0][k]) == raw(after[k]) for k in after
                if k.startswith(block + '.'))


def test_zero_ratio_sizes_and_what_stays_original(tmp_path):
    work_dir = make_run(tmp_path)
    first, second = analyze_groups(work_dir)['requests']
    assert first['zero_groups'] == list(BLOCKS[1:])
    assert first['zero_ratio'] == pytest.approx(2 / 3)
    assert second['zero_ratio'] == pytest.approx(1 / 3)
    # Block 1 was left alone by request 1 and moved by request 2.
    assert first['same_as_original'] == list(BLOCKS[1:])
    assert second['same_as_original'] == [BLOCKS[2]]
    per_group = 2 * 2 * (4 + 6) * 4
    assert first['adapter_weight_bytes'] == per_group
    assert first['adapter_weight_bytes_with_zero_groups'] == 3 * per_group
    file = work_dir / 'request_01' / 'adapter.safetensors'
    assert first['adapter_file_bytes'] == file.stat().st_size
    assert first['changed'] == 2 and first['changed_outside'] == []


def test_files_and_conclusion(tmp_path, capsys):
    work_dir = make_run(tmp_path, unfinished=1)
    report_groups(work_dir)
    text = capsys.readouterr().out
    assert ('request 1: 2 of 3 groups exactly zero, their 4 weight matrices '
            'bit-identical to the base (sha256 compared)') in text
    assert 'request 3 is skipped: not finished' in text
    assert 'request 2: heart' in text and 'zero-group ratio 0.667' in text
    out = work_dir / 'analysis'
    table = pd.read_csv(out / 'groups.csv')
    assert table.shape[0] == 6
    assert table.zero.tolist() == [False, True, True, False, False, True]
    written = json.loads((out / 'groups.json').read_text())
    assert written['requests'][0]['zero_ratio'] == pytest.approx(2 / 3)
    weight = written['requests'][0]['groups'][1]['weights'][0]
    assert weight['base_sha256'] == weight['merged_sha256']
    for name in ('heatmap.png', 'norms.png'):
        assert (out / name).read_bytes()[:4] == b'\x89PNG'


def tamper(work_dir, key, change, forge=True):
    """Change one tensor of request 2; forge the fingerprint in the meta."""
    folder = work_dir / 'request_02'
    state, meta = load_merged(folder)
    state[key] = change(state[key].clone())
    if forge:
        meta['merged_fingerprint'] = fingerprint(state)
    save_merged(folder, state, meta)


def bump(tensor):
    tensor.view(-1)[0] += 1e-6
    return tensor


@pytest.mark.parametrize('key, words', [
    (f'{BLOCKS[2]}.{FFN[1]}.weight', f'group {BLOCKS[2]} is zero, yet'),
    (f'{BLOCKS[2]}.attn.proj.weight', 'without LoRA changed: '
     f'{BLOCKS[2]}.attn.proj.weight'),
    # +0.0 and -0.0 compare equal; the digests tell them apart.
    ('head.bias', 'without LoRA changed: head.bias')])  # yapf: disable
def test_tampered_merged_checkpoint_is_caught(tmp_path, capsys, key, words):
    work_dir = make_run(tmp_path)
    tamper(work_dir, key, torch.neg if key == 'head.bias' else bump)
    with pytest.raises(ForgetError, match='CHECKS FAILED in request 2'):
        report_groups(work_dir)
    text = capsys.readouterr().out
    assert 'request 2: CHECK FAILED' in text and words in text
    assert 'request 2: 1 of 3 groups exactly zero, their' not in text
    assert 'request 1: 2 of 3 groups exactly zero, their' in text
    out = work_dir / 'analysis'
    table = pd.read_csv(out / 'groups.csv')
    assert table.checks.tolist() == ['passed'] * 3 + ['FAILED'] * 3
    assert (out / 'heatmap.png').is_file()


def test_tampered_active_weight_breaks_the_fingerprint(tmp_path):
    work_dir = make_run(tmp_path)
    key = f'{BLOCKS[0]}.{FFN[0]}.weight'
    tamper(work_dir, key, bump, forge=False)
    first, second = analyze_groups(work_dir)['requests']
    assert not first['failures']
    assert any('merged.pth' in f for f in second['failures'])


def test_missing_weight_is_no_proof(tmp_path):
    work_dir = make_run(tmp_path)
    folder = work_dir / 'request_02'
    state, meta = load_merged(folder)
    del state[f'{BLOCKS[2]}.{FFN[0]}.weight']
    save_merged(folder, state, meta)
    group = analyze_groups(work_dir)['requests'][1]['groups'][2]
    assert group['zero'] and not group['bit_identical']
    assert group['update_norm'] is None


@pytest.mark.parametrize('field, value', [('zero', False), ('norm', 1.)])
def test_groups_json_that_the_adapter_refutes(tmp_path, field, value):
    work_dir = make_run(tmp_path)
    path = work_dir / 'request_01' / 'groups.json'
    content = json.loads(path.read_text())
    content['groups'][1][field] = value
    path.write_text(json.dumps(content))
    failures = analyze_groups(work_dir)['requests'][0]['failures']
    assert len(failures) == 1 and BLOCKS[1] in failures[0]
    assert 'groups.json' in failures[0]


def test_base_moved_and_wrong_base(tmp_path):
    work_dir = make_run(tmp_path)
    moved = tmp_path / 'elsewhere.pth'
    (tmp_path / 'base.pth').rename(moved)
    with pytest.raises(ForgetError, match='base.pth is gone.*--base'):
        analyze_groups(work_dir)
    assert analyze_groups(work_dir, str(moved))['ok']
    other = base_state()
    other['head.bias'] += 1
    torch.save(dict(state_dict=other), moved)
    with pytest.raises(ForgetError, match='elsewhere.pth is not the base'):
        analyze_groups(work_dir, str(moved))


def test_bad_work_dirs(tmp_path):
    with pytest.raises(ForgetError, match='none does not exist'):
        analyze_groups(tmp_path / 'none')
    with pytest.raises(ForgetError, match='no finished first request'):
        analyze_groups(tmp_path)
    work_dir = make_run(tmp_path)
    (work_dir / 'request_01' / 'groups.json').write_text('{"groups": [{}]}')
    with pytest.raises(ForgetError, match='groups.json is damaged'):
        analyze_groups(work_dir)
    (work_dir / 'request_01' / 'merged.pth').unlink()
    with pytest.raises(ForgetError, match='merged.pth is missing'):
        analyze_groups(work_dir)
    (work_dir / 'request_01' / 'training.json').unlink()
    with pytest.raises(ForgetError, match='no finished first request'):
        analyze_groups(work_dir)


def test_request_behind_a_gap_is_skipped(tmp_path):
    work_dir = make_run(tmp_path, zero=((1, ), (1, ), (1, )))
    (work_dir / 'request_02' / 'training.json').unlink()
    report = analyze_groups(work_dir)
    assert [r['request'] for r in report['requests']] == [1]
    assert report['skipped'] == [
        'request 2 is skipped: not finished',
        'request 3 is skipped: one before it is missing'
    ]
