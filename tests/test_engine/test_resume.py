"""Killed and resumed runs end like undisturbed ones."""
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from kill_and_resume import KilledRun, differences
from tiny_run import run_seconds, run_sequence

from gslora_mm.engine import request_run
from gslora_mm.engine.hooks.base_weights_hook import BaseWeightsHook
from gslora_mm.utils import ForgetError


@pytest.fixture
def half(run, tmp_path):
    """A copy of the run whose second request has not begun."""
    copy = tmp_path / 'half'
    shutil.copytree(run, copy)
    shutil.rmtree(copy / 'request_02')
    return copy


_HOLD = """
import sys
import time
from gslora_mm.engine.run_lock import lock_run
held = lock_run(sys.argv[1])
print('locked', flush=True)
time.sleep(100)
"""


class Killed(BaseException):
    """Not caught by anything, like a signal."""


def _stop_after_training(monkeypatch, config, folder):
    """Run until the second request is trained but nothing is written."""

    def kill(*args):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(request_run, 'write_artefacts', kill)
        with pytest.raises(Killed):
            run_sequence(config, folder, resume=True)


def _kills(run, config, folder, count):
    killed = KilledRun(config, folder, run, run_seconds())
    assert killed.run(count) == []


def test_kill_9_and_resume(run, config, tmp_path):
    _kills(run, config, tmp_path, int(os.environ.get('GSLORA_KILLS', 2)))


@pytest.mark.slow
def test_ten_kills(run, config, tmp_path):
    _kills(run, config, tmp_path, 10)


def test_half_written_checkpoint_gives_way_to_the_one_before(
        run, config, half, monkeypatch):
    _stop_after_training(monkeypatch, config, half)
    newest = half / 'request_02/epoch_2.pth'
    older = newest.with_name('epoch_1.pth')
    state = torch.load(newest, weights_only=True)['state_dict']
    assert all(k.endswith(('lora_A', 'lora_B')) for k in state)
    assert request_run.newest_checkpoint(newest.parent) == newest
    whole = newest.read_bytes()
    for share in (0, .5, .99):
        newest.write_bytes(whole[:int(share * len(whole))])
        assert request_run.newest_checkpoint(newest.parent) == older
    newest.write_bytes(whole[:-100])
    run_sequence(config, half, resume=True)
    assert json.loads(
        (half / 'request_02/training.json').read_text())['resumed']
    assert list(differences(run, half)) == []


def test_only_what_is_missing_is_done_again(run, config, half):
    """An evaluation that was killed does not train again, and so on."""
    shutil.copytree(run / 'request_02', half / 'request_02')
    before = (half / 'request_02/merged.pth').stat().st_mtime_ns
    kept = (half / 'base/report.json').stat().st_mtime_ns
    for name in ('report.json', 'metrics.json'):
        (half / 'request_02' / name).unlink()
    run_sequence(config, half, resume=True)
    assert (half / 'request_02/merged.pth').stat().st_mtime_ns == before
    assert (half / 'base/report.json').stat().st_mtime_ns == kept
    assert list(differences(run, half)) == []


def test_what_killed_processes_left_is_removed(run, tmp_path):
    copy = tmp_path / 'run'
    shutil.copytree(run, copy)
    left = [
        copy / 'request_01/.123-merged.pth', copy / '.7-summary.json',
        copy / 'request_02/epoch_2.pth'
    ]
    kept = [copy / '.my-notes', copy / 'request_03/epoch_1.pth']
    for path in left + kept:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'half')
    request_run.remove_leftovers(copy)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)
    assert (copy / 'request_02/merged.pth').is_file()


def test_merged_checkpoint_of_another_run_is_refused(run, config, half, base):
    target = half / 'request_01/merged.pth'
    content = torch.load(target, weights_only=True)
    content['state_dict']['query_embedding.weight'] += 1
    torch.save(content, target)
    with pytest.raises(ForgetError, match='is not the checkpoint that this'):
        run_sequence(config, half, resume=True)
    target.unlink()
    with pytest.raises(ForgetError, match='merged.pth is gone; restore'):
        run_sequence(config, half, resume=True)


def test_request_from_another_result_is_refused(run, config, half):
    """A request trained again leaves the later ones on sand."""
    shutil.copy(run / 'request_02/merged.pth', half / 'request_01/merged.pth')
    with pytest.raises(ForgetError, match='the request before it'):
        run_sequence(config, half, resume=True)


def test_two_processes_in_one_folder(run, config, half):
    """A lock that ends with the process that holds it, however it ends."""
    holder = subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', _HOLD, half],
        stdout=subprocess.PIPE,
        text=True)
    try:
        assert holder.stdout.readline().strip() == 'locked'
        with pytest.raises(ForgetError, match='another process'):
            run_sequence(config, half, resume=True)
        assert not (half / 'request_02').exists()
    finally:
        holder.kill()
        holder.wait()
    run_sequence(config, half, resume=True)
    assert (half / 'request_02/metrics.json').is_file()


def test_checkpoint_with_other_weights_is_refused():
    """Or the base would be loaded over what was learnt, without a word."""
    hook = BaseWeightsHook('base.pth', 'print')
    runner = SimpleNamespace(
        model=torch.nn.Linear(1, 1), iter=5, work_dir='runs/request_01')
    with pytest.raises(ForgetError, match='runs/request_01 holds other'):
        hook.before_train(runner)
