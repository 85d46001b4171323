"""Comparisons: what is tuned, what runs, what is kept, what comes out."""
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from compare_toys import METHODS, stand_in_tools, started, write_comparison
from tool_calls import REPO, call, error_of

from gslora_mm.engine.compare import Comparison
from gslora_mm.engine.compare.search import draw_trials
from gslora_mm.utils import ForgetError

RUNS = [
    f'{kind} run {requests} {lr} {seed}' for requests in (1, 2)
    for kind, lr in (('FineTune', .2), ('OutputFilter', .004), ('GSLoRA', .2))
    for seed in (0, 1)
]


@pytest.fixture
def tools(tmp_path, monkeypatch):
    return stand_in_tools(tmp_path, monkeypatch)


@pytest.fixture
def config(tmp_path):
    return write_comparison(tmp_path / 'methods.py')


def test_every_method_is_tuned_then_run(tmp_path, tools, config):
    out = tmp_path / 'out'
    text = Comparison(config, out).run(tools)
    trials = [line for line in started(tmp_path) if ' trial ' in line]
    # All three rates of one method, four of the eight pairs of the other.
    assert trials[:3] == [f'FineTune trial 2 {lr} 9' for lr in (.1, .2, .3)]
    assert len(trials) == 7 and len(set(trials[3:])) >= 2
    assert started(tmp_path)[7:] == RUNS
    tuned = json.loads((out / 'tuned.json').read_text())
    assert tuned['tune']['options'] == {'optim_wrapper.optimizer.lr': .2}
    assert tuned['tune']['score'] == pytest.approx(1 - .09)
    assert tuned['tune']['seconds'] == 3 * 2 * 11
    assert tuned['filter'] == dict(
        trial='', options={}, score=None, trials=0, seconds=0.)
    table = pd.read_csv(out / 'trials.csv')
    assert list(table['method']) == ['tune'] * 3 + ['wide'] * 4
    assert list(table['chosen'][:3]) == [False, True, False]
    assert list(table['score'][:3]) == pytest.approx([.81, .91, .81])
    assert not list(out.glob('search/**/merged.pth'))
    assert len(list(out.glob('cells/**/merged.pth'))) == 6 * 3
    assert 'nothing to tune' in text and 'diverged' not in text
    Comparison(config, out).run(tools)
    assert len(started(tmp_path)) == 7 + len(RUNS)


def test_without_a_budget_nothing_is_tuned(tmp_path, tools):
    config = write_comparison(tmp_path / 'methods.py', search=dict(budget=0))
    text = Comparison(config, tmp_path / 'out').run(tools)
    # The learning rate of the base config.
    assert sorted(started(tmp_path)) == sorted(
        f'{kind} run {count} 0.004 {seed}' for kind in
        ('FineTune', 'OutputFilter', 'GSLoRA') for count in (1, 2)
        for seed in (0, 1))  # yapf: disable
    assert 'nothing to tune' in text


def test_of_equal_trials_the_first_is_chosen(tmp_path, tools, config):
    Comparison(config, tmp_path / 'out').run(tools, jobs=2)
    tuned = json.loads((tmp_path / 'out/tuned.json').read_text())['wide']
    trials = pd.read_csv(tmp_path / 'out/trials.csv').query('method == "wide"')
    best = trials[trials['score'] == trials['score'].max()]
    assert tuned['trial'] == best['trial'].iloc[0]


def test_draw_is_of_the_whole_grid_in_its_order():
    assert draw_trials(5, 5, 0) == draw_trials(5, 9, 1) == list(range(5))
    draws = [draw_trials(20, 6, seed) for seed in range(200)]
    assert all(d == sorted(set(d)) and len(d) == 6 for d in draws)
    assert draws[3] == draw_trials(20, 6, 3)
    counts = np.bincount(list(itertools.chain(*draws)), minlength=20)
    assert counts.min() > 35 and counts.max() < 85  # 60 expected


def test_table_holds_results_and_costs(tmp_path, tools, config):
    out = tmp_path / 'out'
    text = Comparison(config, out).run(tools)
    assert text == (out / 'compare.md').read_text().rstrip('\n')
    assert '| method |' in text.replace('  ', ' ').replace('  ', ' ')
    assert '## continual, after each request' in text
    assert '## single, after' not in text
    table = pd.read_csv(out / 'compare.csv')
    rows = table[(table['setting'] == 'continual') & (table['request'] == '2')]
    assert list(rows['title']) == ['Fine-tune', 'Filter', 'LoRA']
    row = rows.iloc[0]
    assert row['H_mean'] == pytest.approx(.995)
    assert row['H_std'] == pytest.approx(.01 / np.sqrt(2))
    assert (row['seconds_mean'], row['iteration_seconds_mean']) == (2.5, .25)
    assert (row['trained_ratio_mean'], row['stored_kb_mean']) == (.25, .5)
    assert row['peak_memory_mb_mean'] == 7 and row['n'] == 2
    assert row['Acc_o_mean'] == .5
    for name in ('compare.png', 'compare.pdf'):
        assert (out / name).stat().st_size > 5000


def test_divergence_is_a_result(tmp_path, tools, config, monkeypatch):
    """A trial scores 0, a run is a row that says so; nothing runs twice."""
    monkeypatch.setenv('DIVERGE', 'FineTune trial 2 0.2;FineTune run 1 0.1 1')
    out = tmp_path / 'out'
    with pytest.raises(ForgetError, match='method=tune seed 1: far away'):
        Comparison(config, out).run(tools)
    tuned = json.loads((out / 'tuned.json').read_text())['tune']
    assert tuned['options'] == {'optim_wrapper.optimizer.lr': .1}
    trials = pd.read_csv(out / 'trials.csv')
    assert list(trials['score'][:3]) == pytest.approx([.81, 0, .81])
    assert trials['diverged'][1] == 'far away'
    count = len(started(tmp_path))
    assert count == 7 + len(RUNS)
    text = (out / 'compare.md').read_text()
    assert '1, 1 diverged' in text and 'Diverged, 1: ' in text
    # It stays one, and is not tried again.
    with pytest.raises(ForgetError, match='1 run failed'):
        Comparison(config, out).run(tools)
    assert len(started(tmp_path)) == count


def test_method_that_never_survives_is_a_row(tmp_path, tools, config,
                                             monkeypatch):
    monkeypatch.setenv('DIVERGE', 'FineTune')
    out = tmp_path / 'out'
    with pytest.raises(ForgetError, match='every trial of its search'):
        Comparison(config, out).run(tools)
    assert not [x for x in started(tmp_path) if x.startswith('FineTune run')]
    table = pd.read_csv(out / 'compare.csv')
    row = table[table['method'] == 'tune']
    assert list(row['n']) == [0, 0] and list(row['diverged']) == [2, 2]
    assert row['H_mean'].isna().all()
    assert '0, 2 diverged' in (out / 'compare.md').read_text()


def test_accident_is_no_score(tmp_path, tools, config, monkeypatch):
    monkeypatch.setenv('FAIL', 'FineTune trial 2 0.3 9')
    out = tmp_path / 'out'
    with pytest.raises(ForgetError, match='no room on the moon'):
        Comparison(config, out).run(tools)
    assert not [x for x in started(tmp_path) if x.startswith('FineTune run')]
    assert 'Not tuned yet, 1: Fine-tune.' in (out / 'compare.md').read_text()
    monkeypatch.delenv('FAIL')
    Comparison(config, out).run(tools)
    assert started(tmp_path).count('FineTune trial 2 0.3 9') == 2
    assert sorted(set(started(tmp_path)[7:])) == sorted(
        {*RUNS, 'FineTune trial 2 0.3 9'})


def test_some_methods_some_settings(tmp_path, tools, config):
    out = tmp_path / 'out'
    Comparison(config, out, methods=['filter'], settings=['single']).run(tools)
    assert started(tmp_path) == RUNS[2:4]
    Comparison(config, out, [5], methods=['filter']).run(tools)
    table = pd.read_csv(out / 'compare.csv')
    single = table[(table['setting'] == 'single') & (table['request'] == '1')]
    assert list(single['n']) == [3]
    with pytest.raises(ForgetError, match="did you mean 'filter'"):
        Comparison(config, out, methods=['fitler'])


def test_killed_comparison_goes_on(tmp_path, tools, config):
    out, hang = tmp_path / 'out', 'FineTune run 1 0.2 1'
    code = ('import sys; from gslora_mm.engine.compare import Comparison; '
            'Comparison(*sys.argv[1:3]).run(sys.argv[3])')
    child = subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', code, config, out, tools],
        cwd=REPO,
        env=dict(os.environ, PYTHONPATH=str(REPO), HANG=hang),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    until = time.time() + 200
    while hang not in started(tmp_path):
        assert time.time() < until and child.poll() is None
        time.sleep(.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    time.sleep(.2)
    Comparison(config, out).run(tools)
    assert started(tmp_path) == [*started(tmp_path)[:7], *RUNS[:2], *RUNS[1:]]


def test_recovered_values_stand_beside_h(tmp_path, tools, config):
    out = tmp_path / 'out'
    Comparison(config, out).run(tools)
    rows = [
        dict(setting='single', method='tune', protocol='top1', seed=seed,
             variant=variant, step=step, last=step == 9, f=seed + step / 10)
        for variant in ('full', 'few') for seed in (0, 1) for step in (0, 9)
    ]  # yapf: disable
    (out / 'recover').mkdir()
    pd.DataFrame(rows).to_csv(out / 'recover/recover.csv')
    text = Comparison(config, out).tabulate()
    assert 'full recovered' in text and 'few recovered' in text
    table = pd.read_csv(out / 'compare.csv')
    found = table[table['recovered_full_mean'].notna()]
    assert set(found['method']) == {'tune'}
    assert set(found['setting']) == {'single'}
    assert set(found['recovered_full_mean']) == {1.4}
    np.testing.assert_allclose(found['recovered_few_std'], np.sqrt(.5))


def test_search_may_not_look_at_the_evaluation_set(tmp_path):
    config = write_comparison(tmp_path / 'bad.py', search=dict(budget=2))
    with pytest.raises(ForgetError, match='measured on the evaluation set'):
        Comparison(config, tmp_path / 'out')


@pytest.mark.parametrize('text, message', [
    ("method = dict(type='EWC')", 'has no title'),
    ("title = 'x'\nlr = 1", r'lr is unknown; .*known: title'),
    ("title = 'x'\nmethod = dict(type='EWV')", 'forget.method cannot be'),
    ("title = 'x'\noptions = {'optim_wraper.x': 1}", 'did you mean'),
    ("title = 'x'\noptions = {'forget.requests': []}", 'only one can'),
    ("title = 'x'\noptions = {'forget': {}}",
     r'settings \(forget.requests\); only one can'),
    ("title = 'x'\nper_task = dict(classification=dict(title='y'))",
     'title is unknown'),
    ("title = 'x'\nsearch = dict(lr=dict(files={'a': ''}))", 'only options'),
    ('title = ', 'cannot be read'),
])  # yapf: disable
def test_bad_method_is_one_line(tmp_path, text, message):
    config = write_comparison(tmp_path / 'bad.py', dict(odd=text))
    with pytest.raises(ForgetError, match=message) as error:
        Comparison(config, tmp_path / 'out')
    assert '\n' not in str(error.value)


def test_task_and_comparison_change_a_method(tmp_path):
    text = METHODS['tune'] + '''
per_task = dict(
    detection=dict(train='head'),
    classification=dict(train='ffn', options={'train_cfg.max_epochs': 3}),
    mine=dict(search=dict(lr=None), method=dict(type='EWC')))
'''
    for name in ('other', 'mine'):
        config = write_comparison(tmp_path / f'{name}.py', dict(tune=text))
        (method, ) = Comparison(config, tmp_path / 'out').settings.methods
        assert method.options['forget.train'] == 'ffn'
        assert method.options['train_cfg.max_epochs'] == 3
        assert bool(method.search) == (name == 'other')
        assert method.options['forget.method']['type'] == (
            'FineTune' if name == 'other' else 'EWC')


def test_tool_prints_the_table(tmp_path, tools, config, capsys, monkeypatch):
    out = tmp_path / 'out'
    assert 'holds no finished run' in error_of('compare', config, '--work-dir',
                                               out, '--table-only')
    Comparison(config, out).run(tools)
    capsys.readouterr()
    assert call('compare', config, '--work-dir', out, '--table-only') is None
    assert '# Two and a half methods' in capsys.readouterr().out
    again = shutil.copy(config, tmp_path / 'again.py')
    assert 'one config' in error_of('compare', config, again, '--work-dir',
                                    out)
