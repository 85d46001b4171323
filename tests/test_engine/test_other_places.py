"""Data that vanishes, and runs that go on elsewhere."""
import json
import shutil

import pytest
import tiny_classifier
from random_kills import different
from tiny_run import run_sequence

from gslora_mm.engine import request_run
from gslora_mm.engine.hooks import LossGuardHook
from gslora_mm.utils import ForgetError

# The record names the places; a second manifest of the start covers it, and
# what follows in the chain has another place there.
MOVED = ['manifest.json', 'request_02/manifest.json', 'run.json']


@pytest.fixture
def moved(tmp_path):
    """A run without its second request, base and data in other places."""
    run = tmp_path / 'elsewhere/run'
    shutil.copytree(tiny_classifier.finished_run(), run)
    shutil.rmtree(run / 'request_02')
    data = shutil.copytree(tiny_classifier.images_root(), tmp_path / 'images')
    base = shutil.copy(tiny_classifier.base_checkpoint(), tmp_path / 'b.pth')
    config = tiny_classifier.write_config(
        tmp_path / 'config.py', data_root=str(data), load_from=str(base))
    return run, data, config


def test_a_moved_run_goes_on(moved):
    run, data, config = moved
    run_sequence(config, run, resume=True)
    assert different(tiny_classifier.finished_run(), run) == MOVED
    record = json.loads((run / 'run.json').read_text())
    before = json.loads(
        (tiny_classifier.finished_run() / 'run.json').read_text())
    assert record['config_digest'] == before['config_digest']
    assert record['config']['load_from'].endswith('b.pth')
    # From here on, these are its places.
    run_sequence(config, run, resume=True)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_other_images_are_refused(moved, split):
    run, data, config = moved
    (data / split / 'jade/0.png').rename(data / split / 'jade/new.png')
    with pytest.raises(ForgetError, match=f'other {split} data'):
        run_sequence(config, run, resume=True)
    assert not (run / 'request_02').exists()


def test_other_settings_are_still_refused(moved):
    run, _, config = moved
    with pytest.raises(ForgetError, match='different: forget.lora.rank'):
        run_sequence(config, run, resume=True, **{'forget.lora.rank': 1})


def test_an_older_run_knows_no_data(moved):
    """It goes on where its data is, and nowhere else."""
    run, _, config = moved
    record = json.loads((run / 'run.json').read_text())
    del record['data']
    (run / 'run.json').write_text(json.dumps(record))
    with pytest.raises(ForgetError, match='another config'):
        run_sequence(config, run, resume=True)
    run_sequence(tiny_classifier.tiny_config(), run, resume=True)


def test_data_vanishes_while_it_trains(moved, monkeypatch):
    run, data, config = moved
    look, count = LossGuardHook.after_train_iter, []

    def vanish(*args, **kwargs):
        count.append(1)
        if len(count) == 12:
            data.rename(data.with_name('gone'))
        look(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(LossGuardHook, 'after_train_iter', vanish)
        with pytest.raises(ForgetError, match='cannot read the image'):
            run_sequence(config, run, resume=True)
    data.with_name('gone').rename(data)
    run_sequence(config, run, resume=True)
    assert different(tiny_classifier.finished_run(), run) == MOVED


def test_data_vanishes_before_it_is_measured(moved, monkeypatch):
    run, data, config = moved
    write = request_run.write_artefacts

    def vanish(*args, **kwargs):
        write(*args, **kwargs)
        data.rename(data.with_name('gone'))

    with monkeypatch.context() as patch:
        patch.setattr(request_run, 'write_artefacts', vanish)
        with pytest.raises((ForgetError, OSError), match='images'):
            run_sequence(config, run, resume=True)
    data.with_name('gone').rename(data)
    run_sequence(config, run, resume=True)
    assert different(tiny_classifier.finished_run(), run) == MOVED
