"""Defaults of a method's class are part of what a run is."""
import json
import shutil

import pytest
from mmengine.config import Config

from gslora_mm.engine import method_defaults as module
from gslora_mm.engine import run_record
from gslora_mm.engine.run_record import open_run
from gslora_mm.engine.study.jobs import Run
from gslora_mm.methods import DELETE
from gslora_mm.registry import METHODS
from gslora_mm.utils import ForgetError


class Toy(DELETE):

    def __init__(self, pull=1., push=2., bound=None):
        super().__init__()


@pytest.fixture(autouse=True)
def registered():
    METHODS.register_module(module=Toy)
    yield
    METHODS.module_dict.pop('Toy')


def config(**given):
    return dict(
        data_root='here/',
        forget=dict(requests=[['star']], method=dict(type='Toy', **given)))


def test_what_is_left_to_the_class():
    assert module.method_defaults(config(pull=3.)) == dict(push=2., bound=None)
    assert module.method_defaults(config(pull=1., push=1., bound=1.)) == {}
    assert module.method_defaults(
        dict(forget=dict(method=dict(type='NoSuch')))) == {}
    assert module.method_defaults({}) == {}


@pytest.mark.parametrize(
    'old, defaults, new, new_defaults, same',
    [
        # Nobody noted them.
        (config(), None, config(), dict(pull=9.), True),
        (config(), dict(pull=1.), config(), dict(pull=1.), True),
        (config(), dict(pull=1.), config(), dict(pull=9.), False),
        # Given now, as the default was.
        (config(), dict(pull=1.), config(pull=1.), {}, True),
        (config(), dict(pull=1.), config(pull=9.), {}, False),
        # Given then.
        (config(pull=1.), {}, config(), dict(pull=1.), True),
        (config(pull=1.), {}, config(), dict(pull=9.), False),
        # The class has learned a word, and forgotten one.
        (config(), dict(pull=1.), config(), dict(pull=1., more=2.), True),
        (config(), dict(pull=1., less=2.), config(), dict(pull=1.), True),
        (config(), dict(pull=1.), config(more=2.), dict(pull=1.), False),
    ])
def test_arguments_count_as_given(old, defaults, new, new_defaults, same):
    before = json.dumps([old, new])
    one, other = module.with_arguments(old, defaults, new, new_defaults)
    assert (one == other) == same
    assert json.dumps([old, new]) == before
    assert module.with_arguments({}, {}, {}, {}) == ({}, {})


@pytest.fixture
def cfg(monkeypatch):
    monkeypatch.setattr(run_record, 'data_digests', lambda cfg: {})
    return Config(config())


def changed_default(monkeypatch, value):
    monkeypatch.setattr(Toy.__init__, '__defaults__', (value, 2., None))


def test_a_run_does_not_go_on_with_other_defaults(cfg, tmp_path, monkeypatch):
    run = tmp_path / 'run'
    run.mkdir()
    open_run(cfg, run, False, 'x')
    open_run(cfg, run, True, 'x')
    shutil.copy(run / 'run.json', tmp_path / 'kept')
    changed_default(monkeypatch, 9.)
    with pytest.raises(ForgetError, match=r'forget\.method\.pull=1\.0'):
        open_run(cfg, run, True, 'x')
    assert (run / 'run.json').read_text() == (tmp_path / 'kept').read_text()
    # What the message says helps, and is kept.
    cfg.forget.method.pull = 1.
    open_run(cfg, run, True, 'x')
    record = json.loads((run / 'run.json').read_text())
    assert record['method_defaults'] == dict(push=2., bound=None)
    assert record['config']['forget']['method']['pull'] == 1.
    open_run(cfg, run, True, 'x')


def test_a_run_from_before_goes_on(cfg, tmp_path, monkeypatch):
    run = tmp_path / 'run'
    run.mkdir()
    open_run(cfg, run, False, 'x')
    record = json.loads((run / 'run.json').read_text())
    del record['method_defaults']
    (run / 'run.json').write_text(json.dumps(record))
    changed_default(monkeypatch, 9.)
    open_run(cfg, run, True, 'x')


def test_cells_of_other_defaults_are_refused(cfg, tmp_path, monkeypatch):
    job = Run('cell', tmp_path / 'cell', cfg)
    job.folder.mkdir()
    job.claim()
    job.check()
    changed_default(monkeypatch, 9.)
    with pytest.raises(ForgetError, match=r'forget\.method\.pull'):
        job.check()
    # As it was written before anyone noted them.
    path = job.folder / 'settings.json'
    found = json.loads(path.read_text())
    del found['method_defaults']
    path.write_text(json.dumps(found))
    job.check()
