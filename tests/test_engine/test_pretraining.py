"""Pre-training: stopped, continued, alone in its folder."""
import os
import signal
import sys
import time
from functools import lru_cache
from pathlib import Path

import pytest
import tiny_classifier
import torch
from mmengine.hooks import RuntimeInfoHook
from tiny_run import shared_folder

from gslora_mm.engine import read_config
from gslora_mm.engine.pretraining import pretrain, resume_point
from gslora_mm.engine.run_lock import lock_run
from gslora_mm.engine.stopped_state import STOPPED
from gslora_mm.utils import ForgetError, Stopped
from gslora_mm.utils.stopping import catch_signals

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from forked import fork, wait  # noqa: E402


@lru_cache(maxsize=None)
def _config():
    folder = shared_folder() / 'pretraining'
    images = tiny_classifier.write_images(folder, unseen=())
    return tiny_classifier.write_config(
        folder / 'config.py', data_root=str(images))


def _pretrain(folder, resume=False, load_from=None):
    cfg = read_config(str(_config()))
    cfg.work_dir, cfg.load_from = str(folder), load_from
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', interval=2, max_keep_ckpts=1)
    return pretrain(cfg, resume)


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    return _pretrain(tmp_path_factory.mktemp('undisturbed')).read_bytes()


# Of 36 iterations in three epochs; only the second epoch is saved.
@pytest.mark.parametrize('moment', [4, 13, 30])
def test_stopped_and_continued(moment, undisturbed, tmp_path, monkeypatch):
    note, count = RuntimeInfoHook.after_train_iter, []

    def kill(*args, **kwargs):
        note(*args, **kwargs)
        count.append(1)
        if len(count) == moment:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch, catch_signals():
        patch.setattr(RuntimeInfoHook, 'after_train_iter', kill)
        with pytest.raises(Stopped):
            _pretrain(tmp_path)
        assert len(count) == moment
    assert resume_point(tmp_path) == tmp_path / STOPPED
    assert _pretrain(tmp_path, resume=True).read_bytes() == undisturbed
    assert not (tmp_path / STOPPED).exists()


def test_starting_weights_are_those_of_the_config(undisturbed, tmp_path):
    """Also where a training may be resumed, and there is none yet."""
    weights = str(tiny_classifier.base_checkpoint())
    plain = _pretrain(tmp_path / 'plain', load_from=weights).read_bytes()
    found = _pretrain(tmp_path / 'new', resume=True, load_from=weights)
    assert found.read_bytes() == plain != undisturbed


def test_farthest_checkpoint_that_is_whole(tmp_path):
    for name, count in (('epoch_2', 20), ('epoch_10', 100), ('iter_60', 60)):
        torch.save(dict(meta=dict(iter=count)), tmp_path / f'{name}.pth')
    assert resume_point(tmp_path).name == 'epoch_10.pth'
    whole = tmp_path / 'epoch_10.pth'
    whole.write_bytes(whole.read_bytes()[:-100])
    assert resume_point(tmp_path).name == 'iter_60.pth'


def test_two_processes_in_one_folder(tmp_path):

    def hold():
        lock = lock_run(tmp_path)
        (tmp_path / 'held').touch()
        time.sleep(60)
        lock.close()

    child = fork(hold, tmp_path / 'log')
    while not (tmp_path / 'held').exists():
        time.sleep(.01)
    with pytest.raises(ForgetError, match='another process is at work'):
        _pretrain(tmp_path)
    os.kill(child, signal.SIGKILL)
    wait(child)
    lock_run(tmp_path).close()
