"""Settings of a comparison that begin alike share their runs."""
import json
import shutil

import pandas as pd
import pytest
from compare_toys import (METHODS, REQUESTS, stand_in_tools, started,
                          write_comparison)

from gslora_mm.engine.compare import Comparison, shared_requests
from gslora_mm.utils import ForgetError

BEGINS = dict(
    single={'forget.requests': REQUESTS[:1]},
    continual={'forget.requests': REQUESTS})


@pytest.fixture
def tools(tmp_path, monkeypatch):
    return stand_in_tools(tmp_path, monkeypatch)


def runs_of(tmp_path):
    return [line for line in started(tmp_path) if ' trial ' not in line]


def test_setting_that_begins_another_is_not_run(tmp_path, tools):
    """Its rows are those that a run of its own would have given."""
    config = write_comparison(tmp_path / 'methods.py', settings=BEGINS)
    out, alone = tmp_path / 'out', tmp_path / 'alone'
    Comparison(config, alone, settings=['single']).run(tools)
    assert {line.split()[2] for line in runs_of(tmp_path)} == {'1'}
    # What was run by itself counts, and is not run again.
    Comparison(config, alone).run(tools)
    (tmp_path / 'started').unlink()
    Comparison(config, out).run(tools)
    assert {line.split()[2] for line in runs_of(tmp_path)} == {'2'}
    assert len(runs_of(tmp_path)) == 6
    tables = [pd.read_csv(folder / 'compare.csv') for folder in (out, alone)]
    pd.testing.assert_frame_equal(*tables)
    assert len(list(out.glob('cells/*'))) == 3
    assert len(list(alone.glob('cells/*'))) == 6


@pytest.fixture
def one_filter(tmp_path):
    """A comparison of one method."""
    return write_comparison(
        tmp_path / 'methods.py',
        methods=dict(filter=METHODS['filter']),
        settings=BEGINS)


def folders(out):
    return (out / f'cells/setting={name},method=filter' for name in BEGINS)


def test_setting_goes_on_from_a_finished_one(tmp_path, tools, one_filter):
    out = tmp_path / 'out'
    Comparison(one_filter, out, settings=['single']).run(tools)
    single, whole = folders(out)
    # One has its weights no more.
    (single / 'seed_1/request_01/merged.pth').unlink()
    for seed in (0, 1):
        (single / f'seed_{seed}/request_01/subset.json').write_text('{}')
    # One was copied, and the process killed before it was claimed.
    Comparison(one_filter, out, settings=['single'], seeds=[2]).run(tools)
    shutil.copytree(single / 'seed_2', whole / 'seed_2')
    (whole / 'seed_2/settings.json').unlink()
    (whole / 'seed_2/copied').write_text('')
    Comparison(one_filter, out, seeds=[0, 1, 2]).run(tools)
    kept = {p.parents[1].name for p in whole.glob('*/request_01/subset.json')}
    assert kept == {'seed_0'}
    assert (whole / 'seed_2/copied').is_file()
    for run in whole.glob('seed_*'):
        own = json.loads((run / 'settings.json').read_text())
        assert own['forget']['requests'] == REQUESTS
        assert len(list(run.glob('request_*'))) == 2
    # The shorter runs are as they were.
    first = json.loads((single / 'seed_0/settings.json').read_text())
    assert first['forget']['requests'] == REQUESTS[:1]
    assert not list(out.glob('cells/*/.*'))


def test_other_base_models_are_not_gone_on_from(tmp_path, tools, one_filter,
                                                monkeypatch):
    out = tmp_path / 'out'
    Comparison(one_filter, out, settings=['single']).run(tools)
    single, whole = folders(out)
    (single / 'seed_0/request_01/subset.json').write_text('{}')
    monkeypatch.setattr(shared_requests, 'began_as', lambda cfg, folder: False)
    Comparison(one_filter, out).run(tools)
    assert not (whole / 'seed_0/request_01/subset.json').exists()
    assert len(list(whole.glob('seed_0/request_*'))) == 2


def test_what_cannot_be_copied_stops_nothing_else(tmp_path, tools, one_filter,
                                                  monkeypatch):
    out = tmp_path / 'out'
    Comparison(one_filter, out, settings=['single']).run(tools)
    single, whole = folders(out)
    (single / 'seed_0/dangling').symlink_to('nowhere')
    with pytest.raises(ForgetError, match='1 run failed.*cannot copy'):
        Comparison(one_filter, out).run(tools)
    assert [p.name for p in whole.glob('seed_*/summary.json')]
    assert not (whole / 'seed_0').exists()
    table = pd.read_csv(out / 'compare.csv')
    assert set(table[table['setting'] == 'continual']['n']) == {1}


def test_finished_runs_are_read_before_longer_ones(tmp_path, tools):
    """Of three settings, the longest is added later."""
    out, path = tmp_path / 'out', tmp_path / 'methods.py'
    methods = dict(filter=METHODS['filter'])
    config = write_comparison(path, methods=methods, settings=BEGINS)
    Comparison(config, out).run(tools)
    before = pd.read_csv(out / 'compare.csv')
    longest = {'forget.requests': [*REQUESTS, ['square']]}
    config = write_comparison(
        path, methods=methods, settings=dict(BEGINS, all=longest))
    Comparison(config, out).tabulate()
    after = pd.read_csv(out / 'compare.csv')
    pd.testing.assert_frame_equal(
        after[after['setting'] != 'all'].reset_index(drop=True), before)


def test_setting_that_only_looks_alike_is_run(tmp_path, tools):
    config = write_comparison(
        tmp_path / 'methods.py',
        settings=dict(
            BEGINS, few={
                **BEGINS['single'], 'forget.data.shots': 4
            }))
    Comparison(config, tmp_path / 'out').run(tools)
    assert [line.split()[2] for line in runs_of(tmp_path)].count('1') == 6


def test_divergence_after_the_end_of_a_setting_is_not_its_own(
        tmp_path, tools, monkeypatch):
    config = write_comparison(tmp_path / 'methods.py', settings=BEGINS)
    monkeypatch.setenv('DIVERGE_LATE', 'FineTune run 2 0.2 1')
    with pytest.raises(ForgetError, match='far away'):
        Comparison(config, tmp_path / 'out').run(tools)
    table = pd.read_csv(tmp_path / 'out/compare.csv')
    rows = table[(table['method'] == 'tune')
                 & table['request'].isin(['mean', '1'])]
    rows = rows.drop_duplicates('setting').set_index('setting')
    assert rows['diverged'].to_dict() == dict(single=0, continual=1)
    assert rows['n'].to_dict() == dict(single=2, continual=1)
