"""SIGTERM and Ctrl-C: saved, continued, and nobody can tell."""
import os
import signal
import time

import pytest
import tiny_classifier
import tiny_run
from kill_and_resume import differences
from tiny_run import run_sequence

from gslora_mm.engine.hooks import LossGuardHook, MethodHook
from gslora_mm.engine.stopped_state import STOPPED
from gslora_mm.engine.study.queue import JobQueue
from gslora_mm.utils import Stopped
from gslora_mm.utils.stopping import catch_signals, defer
from gslora_mm.utils.tool import RESUME, run_tool


def _stop(monkeypatch, config, folder, iteration, number=signal.SIGTERM,
          **options):  # yapf: disable
    """Start or continue a run; the signal comes within an iteration."""
    look, count = LossGuardHook.after_train_iter, []

    def kill(*args, **kwargs):
        look(*args, **kwargs)
        count.append(1)
        if len(count) == iteration:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch, catch_signals():
        patch.setattr(LossGuardHook, 'after_train_iter', kill)
        with pytest.raises(Stopped) as caught:
            run_sequence(config, folder, resume=True, **options)
    assert caught.value.status == 128 + number
    assert len(count) == iteration


@pytest.mark.parametrize('tiny, moments', [(tiny_run, (3, 1)),
                                           (tiny_classifier, (14, 9, 7))])
def test_stopped_runs_end_like_undisturbed_ones(tiny, moments, tmp_path,
                                                monkeypatch):
    """In the middle of epochs, again in the same one, and at its end."""
    reference, config = tiny.finished_run(), tiny.tiny_config()
    for moment in moments:
        _stop(monkeypatch, config, tmp_path / 'run', moment)
        assert (tmp_path / 'run/request_01' / STOPPED).is_file()
    run_sequence(config, tmp_path / 'run', resume=True)
    assert list(differences(reference, tmp_path / 'run')) == []
    assert not list(tmp_path.rglob(STOPPED))


def test_iterations_are_not_repeated(tmp_path, monkeypatch):
    config, seen = tiny_classifier.tiny_config(), []
    _stop(monkeypatch, config, tmp_path, 4)
    look = LossGuardHook.after_train_iter

    def note(hook, runner, *args, **kwargs):
        seen.append((hook.request, runner.iter))
        look(hook, runner, *args, **kwargs)

    monkeypatch.setattr(LossGuardHook, 'after_train_iter', note)
    run_sequence(config, tmp_path, resume=True)
    assert [i for name, i in seen if name == 'request_01'] == list(
        range(4, tiny_classifier.EPOCHS * tiny_classifier.EPOCH_BATCHES))


def test_half_a_file_repeats_the_epoch(tmp_path, monkeypatch):
    reference, config = tiny_run.finished_run(), tiny_run.tiny_config()
    _stop(monkeypatch, config, tmp_path, 3)
    path = tmp_path / 'request_01' / STOPPED
    path.write_bytes(path.read_bytes()[:-50])
    run_sequence(config, tmp_path, resume=True)
    assert list(differences(reference, tmp_path)) == []


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_tools_say_how_to_go_on(number, capsys):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as caught:
        run_tool(lambda: os.kill(os.getpid(), number), RESUME)
    assert caught.value.code == 128 + number
    assert capsys.readouterr().err == 'stopped; continue with --resume\n'
    assert signal.getsignal(number) is before


def test_a_second_signal_ends_at_once():
    child = os.fork()
    if not child:
        with catch_signals():
            defer()
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM


_TOOL = """
import signal, sys, time
def leave(number, frame):
    open(sys.argv[1], 'w').write('saved')
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, leave)
print('at work', flush=True)
time.sleep(60)
"""


class _Job:
    title = 'the job'

    def __init__(self, folder):
        self.folder, self.tool = folder, 'tool.py'

    def claim(self):
        (self.folder / self.tool).write_text(_TOOL)

    def arguments(self):
        return [self.folder / 'saved']

    def is_done(self):
        return False


def test_the_queue_passes_it_on(tmp_path, monkeypatch):
    queue = JobQueue([_Job(tmp_path)], tmp_path)
    collect = queue._collect

    def kill():
        collect()
        while 'at work' not in (tmp_path / 'run.log').read_text():
            time.sleep(.01)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(queue, '_collect', kill)
    with catch_signals(), pytest.raises(Stopped):
        queue.run()
    assert (tmp_path / 'saved').read_text() == 'saved'


def test_the_clock_goes_on():
    """Seconds of an epoch that was stopped count as well."""
    before, after, checkpoint = MethodHook(), MethodHook(), dict(
        meta=dict(stopped={}))
    before.started = time.time() - 100
    before.before_save_checkpoint(None, checkpoint)
    after.after_load_checkpoint(None, checkpoint)
    assert time.time() - after.started == pytest.approx(100, abs=5)
