"""Studies: what runs, what is kept, what is refused, what comes out."""
import hashlib
import itertools
import json
import os
import runpy
import signal
import time

import numpy as np
import pandas as pd
import pytest
import tiny_classifier
import torch
from study_toys import RANKS, SEEDS, start_study, write_study, write_tools
from tool_calls import REPO, call, error_of

from gslora_mm.engine.study import Study
from gslora_mm.utils import ForgetError


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Stand-ins for the tools; what they started is in a file."""
    monkeypatch.setenv('STARTED', str(tmp_path / 'started'))
    return write_tools(tmp_path / 'tools')


@pytest.fixture
def config(tmp_path):
    """Two ranks, two seeds, two requests."""
    return write_study(tmp_path / 'ranks.py', name='Ranks')


def started(tmp_path):
    """What the stand-ins were started for, in order."""
    path = tmp_path / 'started'
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(line.split()[:2]) for line in lines]


def cells(folder):
    """Every file of every run, with its time and content."""
    return {
        path: (path.stat().st_mtime_ns,
               hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob('cells/**/*') if path.is_file()
    }


PAIRS = [(str(r), str(s)) for r, s in itertools.product(RANKS, SEEDS)]


def test_runs_every_cell_once(tmp_path, tools, config):
    work_dir = tmp_path / 'study'
    Study(config, work_dir).run(tools)
    assert started(tmp_path) == PAIRS
    before = cells(work_dir)
    assert len([p for p in before if p.name == 'summary.json']) == 4
    Study(config, work_dir).run(tools)
    assert started(tmp_path) == PAIRS
    assert cells(work_dir) == before


def test_jobs_run_side_by_side(tmp_path, tools, config):
    Study(config, tmp_path / 'study').run(tools, jobs=3)
    assert sorted(started(tmp_path)) == PAIRS


def test_table_holds_mean_and_spread(tmp_path, tools, config):
    work_dir = tmp_path / 'study'
    text = Study(config, work_dir).run(tools)
    assert text == (work_dir / 'study.md').read_text().rstrip('\n')
    table = pd.read_csv(work_dir / 'study.csv')
    assert list(table['rank']) == [1, 4, 1, 1, 4, 4]
    assert list(table['request']) == ['mean', 'mean', '1', '2', '1', '2']
    assert list(table['last']) == [False] * 2 + [False, True] * 2
    assert set(table['n']) == {2}
    for _, row in table.iterrows():
        for name in ('Acc_f', 'Acc_r_base', 'H', 'Acc_o'):
            values = np.array([
                _of_request(work_dir, row['rank'], seed, row['request'], name)
                for seed in SEEDS
            ])
            np.testing.assert_allclose(row[f'{name}_mean'], values.mean())
            np.testing.assert_allclose(row[f'{name}_std'], values.std(ddof=1))
        np.testing.assert_allclose(row['kept_mean'], 90.5)
        np.testing.assert_allclose(row['kept_std'], np.sqrt(.5))
        assert row['parameters_mean'] == 11 * row['rank']
        assert row['adapter_kb_mean'] == row['rank']
        assert row['seconds_mean'] == row['rank']
    assert 'Acc_m_mean' not in table
    for name in ('study.png', 'study.pdf'):
        assert (work_dir / name).stat().st_size > 5000


def _of_request(work_dir, rank, seed, request, name):
    """What a run measured after a request, or the mean over all."""
    folder = work_dir / f'cells/rank={rank}/seed_{seed}'
    rows = json.loads((folder / 'summary.json').read_text())['requests']
    found = [np.nan if v is None else v
             for v in (row['top1'][name] for row in rows)]  # yapf: disable
    if request == 'mean':
        found = [v for v in found if not np.isnan(v)]
        return sum(found) / len(found)
    return found[int(request) - 1]


def test_files_and_options_in_one_table(tmp_path, tools):
    """Each cell starts from its own config; both axes are in the table."""
    axes = dict(
        method=dict(files={
            'GS-LoRA': '',
            'GS-LoRA++': '_pp'
        }),
        rank=dict(option='forget.lora.rank', values=[1, 4]))
    base = REPO / 'configs/gslora/vit_shapes_forget{method}.py'
    config = write_study(tmp_path / 'two.py', axes, seeds=[0], base=base)
    work_dir = tmp_path / 'study'
    text = Study(config, work_dir).run(tools)
    assert started(tmp_path) == [('1', '0'), ('4', '0')] * 2
    assert 'GS-LoRA++' in text and '## Mean over the requests' in text
    table = pd.read_csv(work_dir / 'study.csv')
    assert list(zip(table['method'], table['rank'])) == [
        *itertools.product(['GS-LoRA', 'GS-LoRA++'], [1, 4]),
        *itertools.product(['GS-LoRA', 'GS-LoRA++'], [1, 1, 4, 4])
    ]
    for method, kind in (('GS-LoRA', 'GSLoRA'), ('GS-LoRA++',
                                                 'GSLoRAPlusPlus')):
        for rank in RANKS:
            folder = work_dir / f'cells/method={method},rank={rank}/seed_0'
            forget = runpy.run_path(str(folder / 'config.py'))['forget']
            assert forget['method']['type'] == kind
            assert forget['lora']['rank'] == rank
    # Another file under the same name is another study.
    axes['method']['files']['GS-LoRA'] = '_4shot'
    with pytest.raises(ForgetError, match='rank=1/seed_0 was run with other'):
        Study(write_study(config, axes, seeds=[0], base=base), work_dir)


def test_killed_study_goes_on(tmp_path, tools, config):
    work_dir = tmp_path / 'study'
    study = start_study(config, work_dir, tools, HANG='4-0')
    until = time.time() + 100
    while ('4', '0') not in started(tmp_path):
        assert time.time() < until and study.poll() is None
        time.sleep(.05)
    with pytest.raises(ForgetError, match='another process is at work'):
        Study(config, work_dir).run(tools)
    os.kill(study.pid, signal.SIGKILL)
    study.wait()
    child = int((tmp_path / 'started').read_text().split()[-1])
    before = {
        path: found
        for path, found in cells(work_dir).items() if 'rank=1' in str(path)
    }
    assert sum(path.name == 'summary.json' for path in before) == 2
    while _alive(child):
        assert time.time() < until
        time.sleep(.05)
    Study(config, work_dir).run(tools)
    assert started(tmp_path) == [*PAIRS[:3], *PAIRS[2:]]
    after = cells(work_dir)
    assert {path: after[path] for path in before} == before
    assert list(pd.read_csv(work_dir / 'study.csv')['n']) == [2] * 6


def _alive(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().split()[2] != 'Z'
    except OSError:
        return False


def test_failing_run_does_not_stop_the_others(tmp_path, tools, config,
                                              monkeypatch, capsys):
    monkeypatch.setenv('FAIL', '1-1')
    work_dir = tmp_path / 'study'
    with pytest.raises(ForgetError) as error:
        Study(config, work_dir).run(tools)
    assert str(error.value).startswith(
        '1 run failed (rank=1 seed 1: no room on the moon); ')
    assert started(tmp_path) == PAIRS
    table = pd.read_csv(work_dir / 'study.csv')
    assert dict(zip(table['rank'], table['n'])) == {1: 1, 4: 2}
    assert 'Not finished, 1 run: rank=1 seed 1.' in capsys.readouterr().out
    monkeypatch.delenv('FAIL')
    Study(config, work_dir).run(tools)
    assert started(tmp_path) == [*PAIRS, ('1', '1')]


def test_other_grids_add_cells(tmp_path, tools, config):
    work_dir = tmp_path / 'study'
    Study(config, work_dir).run(tools)
    axes = dict(rank=dict(option='forget.lora.rank', values=[2, 1]))
    Study(write_study(config, axes, seeds=[0, 5]), work_dir).run(tools)
    assert started(tmp_path)[4:] == [('2', '0'), ('2', '5'), ('1', '5')]
    # Seeds of the first call count, too; the order is that of the grid.
    table = pd.read_csv(work_dir / 'study.csv')
    assert list(zip(table['rank'], table['n'])) == [(2, 2), (1, 3), (2, 2),
                                                    (2, 2), (1, 3), (1, 3)]


def test_changed_settings_are_refused(tmp_path, tools, config):
    work_dir = tmp_path / 'study'
    Study(config, work_dir).run(tools)
    before = cells(work_dir)
    with pytest.raises(
            ForgetError,
            match=r'rank=1/seed_0 was run with other '
            r'settings \(different: train_cfg.max_epochs\)'):
        Study(config, work_dir, options={'train_cfg.max_epochs': 7})
    assert cells(work_dir) == before
    # The same name for something else.
    write_study(config, dict(rank={'1': {'forget.lora.rank': 8}}))
    with pytest.raises(ForgetError, match='forget.lora.rank'):
        Study(config, work_dir)


def test_table_of_a_part(tmp_path, tools, config):
    work_dir = tmp_path / 'study'
    assert 'holds no finished run' in error_of('study', config, '--work-dir',
                                               work_dir, '--table-only')
    Study(config, work_dir, seeds=[1]).run(tools)
    # A run that was killed between its requests.
    summary = work_dir / 'cells/rank=4/seed_1/summary.json'
    content = json.loads(summary.read_text())
    content['requests'].pop()
    summary.write_text(json.dumps(content))
    text = Study(config, work_dir).tabulate()
    assert 'Not finished, 3 runs' in text
    assert list(pd.read_csv(work_dir / 'study.csv')['rank']) == [1, 1, 1]
    assert len(started(tmp_path)) == 2


def test_replaced_base_model_is_noticed(tmp_path, tools, config, monkeypatch):
    work_dir = tmp_path / 'study'
    Study(config, work_dir, seeds=[0]).run(tools)
    monkeypatch.setenv('BASE_PRINT', 'two')
    with pytest.raises(ForgetError, match='started from other weights'):
        Study(config, work_dir, seeds=[1]).run(tools)


def _depths(tmp_path):
    axes = dict(
        depth=dict(
            option='model.backbone.arch.num_layers',
            values=[3, 9],
            prepare=dict(
                config=str(REPO / 'configs/pretrain/vit_shapes.py'),
                options={'train_cfg.max_epochs': 2})))
    return write_study(tmp_path / 'depths.py', axes)


def test_prepares_base_models_once(tmp_path, tools):
    config, work_dir = _depths(tmp_path), tmp_path / 'study'
    Study(config, work_dir, seeds=[0]).run(tools)
    prepared = [('pretrain', '3'), ('pretrain', '9')]
    assert started(tmp_path)[:2] == prepared
    assert len(started(tmp_path)) == 4
    for depth in (3, 9):
        found = Study(config, work_dir).runs[0 if depth == 3 else 2]
        assert found.config.model.backbone.arch.num_layers == depth
        assert found.config.load_from == str(found.folder.parents[2] /
                                             f'prepare/depth={depth}/base.pth')
    Study(config, work_dir, seeds=[0, 1]).run(tools, jobs=2)
    assert [s for s in started(tmp_path) if s[0] == 'pretrain'] == prepared
    # The whole study may move.
    os.rename(work_dir, tmp_path / 'moved')
    Study(config, tmp_path / 'moved').run(tools)
    assert len(started(tmp_path)) == 6


def test_failed_preparation_fails_its_cells(tmp_path, tools, monkeypatch):
    monkeypatch.setenv('FAIL', 'pretrain')
    with pytest.raises(ForgetError) as error:
        Study(_depths(tmp_path), tmp_path / 'study', seeds=[0]).run(tools)
    assert '4 runs failed (base model for depth=3: no base; ' in str(
        error.value)
    assert started(tmp_path) == [('pretrain', '3'), ('pretrain', '9')]


@pytest.mark.slow
def test_trains_for_real(tmp_path, capsys):
    """One cell of the tiny classifier, through the command line."""
    config = write_study(
        tmp_path / 'study.py',
        dict(rank=dict(option='forget.lora.rank', values=[4])),
        seeds=[3],
        base=tiny_classifier.write_config(tmp_path / 'tiny.py'),
        options={'forget.requests': [['coral']]})
    work_dir = tmp_path / 'out'
    assert call('study', config, '--work-dir', work_dir, '--cfg-options',
                'forget.method.beta=1.5') is None
    assert '| rank |' in capsys.readouterr().out
    folder = work_dir / 'cells/rank=4/seed_3'
    run = json.loads((folder / 'run.json').read_text())['config']
    assert run['forget']['lora']['rank'] == 4
    assert run['forget']['method']['beta'] == 1.5
    assert run['randomness']['seed'] == 3
    metrics = json.loads((folder / 'request_01/metrics.json').read_text())
    table = pd.read_csv(work_dir / 'study.csv')
    for name in ('H', 'Acc_f', 'Acc_r', 'Acc_m'):
        assert table[f'{name}_mean'][0] == metrics['top1'][name]
    state = torch.load(folder / 'request_01/merged.pth', weights_only=True)
    widths = [
        sum(weight.shape) for key, weight in state['state_dict'].items()
        if '.ffn.' in key and weight.ndim == 2
    ]
    assert table['parameters_mean'][0] == 4 * sum(widths)
