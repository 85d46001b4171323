"""Settings of a comparison that some methods run alone."""
import pandas as pd
import pytest
from compare_toys import REQUESTS, stand_in_tools, started, write_comparison
from tool_calls import error_of

from gslora_mm.engine.compare import Comparison
from gslora_mm.utils import ForgetError

BEGINS = dict(
    single={'forget.requests': REQUESTS[:1]},
    continual={'forget.requests': REQUESTS})


def comparison(tmp_path, only, **content):
    return write_comparison(
        tmp_path / 'methods.py',
        settings=BEGINS,
        search=dict(budget=0),
        seeds=[0],
        only=only,
        **content)


def test_others_do_not_run_it(tmp_path, monkeypatch):
    tools = stand_in_tools(tmp_path, monkeypatch)
    config = comparison(tmp_path, dict(continual=['filter', 'wide']))
    Comparison(config, tmp_path / 'out').run(tools)
    # Who runs both reads the short one from the long one.
    assert sorted(started(tmp_path)) == [
        'FineTune run 1 0.004 0', 'GSLoRA run 2 0.004 0',
        'OutputFilter run 2 0.004 0'
    ]
    table = pd.read_csv(tmp_path / 'out/compare.csv')
    found = set(zip(table['setting'], table['method']))
    assert found == {('single', name)
                     for name in ('tune', 'filter', 'wide')
                     } | {('continual', name)
                          for name in ('filter', 'wide')}
    # Nothing is waited for.
    assert 'Not finished' not in (tmp_path / 'out/compare.md').read_text()


def test_a_method_that_always_diverged_failed_where_it_was_asked(
        tmp_path, monkeypatch):
    tools = stand_in_tools(tmp_path, monkeypatch)
    monkeypatch.setenv('DIVERGE', 'FineTune trial')
    config = write_comparison(
        tmp_path / 'methods.py', only=dict(continual=['filter', 'wide']))
    with pytest.raises(ForgetError, match='every trial'):
        Comparison(config, tmp_path / 'out').run(tools)
    table = pd.read_csv(tmp_path / 'out/compare.csv')
    failed = table[table['diverged'] > 0]
    assert list(zip(failed['setting'],
                    failed['method'])) == [('single', 'tune')]


def test_who_is_not_asked_is_refused(tmp_path):
    config = comparison(tmp_path, dict(continual=['filter', 'wide']))
    message = error_of('compare', config, '--work-dir', tmp_path / 'out',
                       '--settings', 'continual', '--methods', 'tune')
    assert 'continual' in message and 'filter, wide' in message
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('only, word', [
    (dict(continuel=['filter']), 'continual'),
    (dict(continual=['filtre']), "'filter'"),
    (dict(continual=[]), 'must list names'),
    (dict(continual='filter'), 'must list names'),
])
def test_bad_input(only, word, tmp_path):
    with pytest.raises(ForgetError, match=word):
        Comparison(comparison(tmp_path, only), tmp_path / 'out')
