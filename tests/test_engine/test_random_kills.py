"""Runs killed at any moment end with the same bytes."""
import os

import pytest
import tiny_classifier
import tiny_run
from random_kills import different, kill_at_random


@pytest.mark.slow
def test_kill_9_at_random_moments(tmp_path):
    kills = int(os.environ.get('GSLORA_KILLS', 20))
    assert kill_at_random(tmp_path / 'kills', kills) == []


def test_kill_9_at_one_moment(tmp_path):
    assert kill_at_random(
        tmp_path / 'kills', 1, names=('classification', )) == []


@pytest.mark.parametrize('tiny', [tiny_run, tiny_classifier])
def test_a_run_and_its_repetition_are_the_same(tiny, tmp_path):
    """Every byte of every tensor, and all numbers but times."""
    reference = tiny.finished_run()
    tiny_run.run_sequence(tiny.tiny_config(), tmp_path / 'again')
    assert different(reference, tmp_path / 'again') == []


def test_what_differs_is_noticed(tmp_path):
    for name, value in (('one', b'1'), ('other', b'2')):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'merged.pth').write_bytes(value)
        (tmp_path / name / 'training.json').write_text('{"seconds": %s}' %
                                                       value.decode())
    assert different(tmp_path / 'one', tmp_path / 'other') == ['merged.pth']
