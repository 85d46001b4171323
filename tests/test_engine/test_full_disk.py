"""A full disk: one line, nothing lost, and the run goes on."""
import errno
import random
import subprocess
from pathlib import Path

import pytest
import tiny_classifier
import tiny_run
from random_kills import different
from tiny_run import run_sequence

from gslora_mm.utils import ForgetError, files

# On the path since random_kills was imported.
from forked import fork, tool, wait  # isort: skip


@pytest.mark.parametrize('point', [2, 8, 13])
def test_any_write(point, tmp_path, monkeypatch):
    """The disk is full when the file at this place is written."""
    reference, config = tiny_classifier.finished_run(
    ), tiny_classifier.tiny_config()
    calls, sync = [], files.sync

    def full(path):
        calls.append(path)
        if len(calls) >= point:
            raise OSError(errno.ENOSPC, 'No space left on device', str(path))
        sync(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, 'sync', full)
        with pytest.raises(ForgetError) as caught:
            run_sequence(config, tmp_path)
    message = str(caught.value)
    assert 'No space left' in message and 'nothing finished is lost' in message
    assert '\n' not in message and not list(tmp_path.rglob('.*-*'))
    run_sequence(config, tmp_path, resume=True)
    assert different(reference, tmp_path) == []


@pytest.fixture
def disk(tmp_path):
    """A small file system; skipped where none can be mounted."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip('mounting a file system is not allowed here')
    yield folder
    subprocess.run(['umount', str(folder)], check=True)


def _resize(disk, size):
    subprocess.run(['mount', '-o', f'remount,size={size}',
                    str(disk)],
                   check=True)


@pytest.mark.slow
@pytest.mark.parametrize('tiny', [tiny_classifier, tiny_run])
@pytest.mark.parametrize('seed', range(5))
def test_a_real_one(tiny, seed, tmp_path, disk):
    """Ten random points of two runs, whoever writes there."""
    reference, config = tiny.finished_run(), tiny.tiny_config()
    # What the run takes on such a disk, in pages.
    used = sum(-(-p.stat().st_size // 4096) * 4096
               for p in Path(reference).rglob('*') if p.is_file())
    size = random.Random(f'{seed} {tiny.__name__}').randrange(16384, used)
    _resize(disk, size // 4096 * 4096)
    log = tmp_path / 'log'
    start = tool('train', config, '--work-dir', disk / 'run', '--resume')
    status = wait(fork(start, log))
    text = log.read_text()
    assert status == 1, text
    assert 'Traceback' not in text
    last = text.strip().splitlines()[-1]
    assert last.startswith('error: ') and 'No space left' in last
    _resize(disk, 4 * used)
    assert wait(fork(start, log)) == 0, log.read_text()
    assert different(reference, disk / 'run') == []
