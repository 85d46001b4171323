"""Checkpoints, adapters and folders that do not fit end with one line."""
import errno
import os
import pickle
import shutil
import subprocess

import pytest
import torch
from tiny_run import write_config
from tool_calls import call, checked, error_of, process

from gslora_mm.utils import files


class Exploit:
    """Runs code where it is unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        """Called by pickle."""
        return os.mkdir, (str(self.path), )


def train(config, out, *options):
    return error_of('train', config, '--work-dir', out, *options)


def with_base(config, tmp_path, path):
    message = train(config, tmp_path / 'out', '--cfg-options',
                    f'load_from={path}')
    assert not (tmp_path / 'out').exists()
    return message


def changed_state(base, path, change):
    state = torch.load(base, weights_only=True)['state_dict']
    change(state)
    torch.save(dict(meta={}, state_dict=state), path)
    return path


def test_checkpoint_of_another_architecture(config, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict=torch.nn.Linear(3, 4).state_dict()), path)
    message = with_base(config, tmp_path, path)
    assert f'checkpoint {path} does not fit the model' in message
    assert 'keys missing' in message and '2 unknown keys (weight, bias)' in (
        message)


def test_checkpoint_with_missing_keys(config, base, tmp_path):
    path = changed_state(base, tmp_path / 'part.pth',
                         lambda s: s.pop('query_embedding.weight'))
    message = with_base(config, tmp_path, path)
    assert '1 keys missing (query_embedding.weight)' in message
    assert 'unknown' not in message


def test_checkpoint_of_another_size(config, base, tmp_path):

    def shrink(state):
        key = 'query_embedding.weight'
        state[key] = state[key][:5]

    path = changed_state(base, tmp_path / 'small.pth', shrink)
    assert 'query_embedding.weight (5, 64) instead of (16, 64)' in with_base(
        config, tmp_path, path)


def test_checkpoint_with_lora_in_it(config, base, tmp_path):
    path = changed_state(
        base, tmp_path / 'lora.pth',
        lambda s: s.update({'encoder.lora_A': torch.ones(2, 2)}))
    assert 'still carries LoRA weights' in with_base(config, tmp_path, path)


def test_checkpoint_with_code_in_it(config, tmp_path):
    """Nothing of it is run."""
    mark = tmp_path / 'harmed'
    old = tmp_path / 'code.pkl'
    old.write_bytes(pickle.dumps(dict(state_dict=Exploit(mark))))
    new = tmp_path / 'code.pth'
    torch.save(dict(state_dict=Exploit(mark)), new)
    for path in (old, new):
        message = with_base(config, tmp_path, path)
        assert f'{path} is not a checkpoint that can be read safely' in message
        assert 'holding weights only' in message
    assert not mark.exists()


@pytest.mark.parametrize('content', [
    b'', b'no checkpoint', b'\x80\x04', b'\x80\x02]q\x00.', b'PK\x03\x04junk',
    bytes(range(256)), b'(((((((', b'ttttt.', b'c\n\n.'
])
def test_file_that_is_no_checkpoint(config, tmp_path, content):
    path = tmp_path / 'text.pth'
    path.write_bytes(content)
    assert f'{path} is not a checkpoint' in with_base(config, tmp_path, path)


def test_truncated_checkpoint(config, base, tmp_path):
    path = tmp_path / 'cut.pth'
    path.write_bytes(base.read_bytes()[:-5000])
    assert f'{path} is not a checkpoint' in with_base(config, tmp_path, path)


def test_adapter_for_another_base(config, run):
    """The adapter of request 2 belongs to the result of request 1."""
    first, second = (run / f'request_0{i}' for i in (1, 2))
    for wrong in (second / 'merged.pth', ):
        message = error_of('test', config, wrong, '--adapter',
                           second / 'adapter.safetensors')
        assert 'adapter.safetensors cannot be put on' in message
        assert 'belongs to another base, or it is merged' in message
    message = error_of('test', config, second / 'merged.pth', '--adapter',
                       first / 'adapter.safetensors')
    assert 'give the base that it was trained on' in message


@pytest.mark.parametrize('damage,culprit',
                         [(lambda b: b[:-40], 'no safetensors adapter'),
                          (lambda b: b'junk', 'no safetensors adapter'),
                          (None, 'does not exist')])
def test_damaged_adapter(config, run, base, tmp_path, damage, culprit):
    path = tmp_path / 'adapter.safetensors'
    if damage:
        content = (run / 'request_01/adapter.safetensors').read_bytes()
        path.write_bytes(damage(content))
    message = error_of('test', config, base, '--adapter', path)
    assert str(path) in message and culprit in message
    assert 'give the adapter.safetensors of a request' in message


def test_adapter_that_is_a_checkpoint(config, run, base):
    """In a process of its own: the error is all there is on stderr."""
    done = process('test', config, base, '--adapter',
                   run / 'request_01/merged.pth')
    assert done.returncode == 1
    assert 'no safetensors adapter' in checked(done.stderr)


def test_work_dir_that_holds_a_run(config, run):
    message = train(config, run)
    assert f'{run} already holds a run; continue it with --resume' in message


def test_work_dir_of_another_config(config, run):
    message = train(config, run, '--resume', '--cfg-options',
                    'train_cfg.max_epochs=7', 'forget.method.beta=0.7')
    assert 'the run of another config' in message
    assert 'forget.method.beta, train_cfg.max_epochs' in message
    assert 'choose another --work-dir' in message


def test_work_dir_of_another_base(config, run, base, tmp_path):
    """The same file name with other content."""
    shutil.copy(base, tmp_path / 'base.pth')
    own = write_config(
        tmp_path / 'own.py', load_from=str(tmp_path / 'base.pth'))
    copy = tmp_path / 'run'
    shutil.copytree(run, copy)
    record = (copy / 'run.json').read_text()
    (copy / 'run.json').write_text(
        record.replace(str(base), str(tmp_path / 'base.pth')))
    changed_state(base, tmp_path / 'base.pth',
                  lambda s: s['query_embedding.weight'].add_(1))
    message = train(own, copy, '--resume')
    assert 'started from another base checkpoint than' in message


def test_damaged_record_of_a_run(config, half):
    (half / 'run.json').write_text('{"config"')
    assert f'{half}/run.json is damaged' in train(config, half, '--resume')


def test_work_dir_below_a_file(config, tmp_path):
    (tmp_path / 'file').write_text('')
    message = train(config, tmp_path / 'file/out')
    assert f'work dir {tmp_path}/file/out cannot be written' in message
    assert 'choose another with --work-dir' in message


@pytest.fixture
def mount(tmp_path):
    """Mounts a file system of its own below the test's folder."""
    folder = tmp_path / 'mounted'
    folder.mkdir()

    def mounted(*options):
        done = subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', ','.join(options), 'tmpfs', folder],
            capture_output=True)
        if done.returncode:
            pytest.skip('file systems cannot be mounted here')
        return folder

    try:
        yield mounted
    finally:
        subprocess.run(['umount', folder], capture_output=True)


def test_read_only_work_dir(config, mount):
    out = mount('ro') / 'out'
    message = train(config, out)
    assert f'work dir {out} cannot be written (Read-only' in message


def copy_to(folder, half):
    out = folder / 'run'
    shutil.copytree(half, out)
    return out


def contents(folder):
    return {
        p: p.read_bytes()
        for p in (folder / 'request_01').rglob('*') if p.is_file()
    }


def test_full_disk(config, run, half, mount):
    """Nothing finished is lost, and with space again the run ends well."""
    out = copy_to(mount('size=16m'), half)
    before = contents(out)
    free = shutil.disk_usage(out).free
    ballast = out.parent / 'ballast'
    ballast.write_bytes(b'0' * (free - 200_000))
    message = train(config, out, '--resume')
    assert 'No space left on device' in message
    assert str(out) in message and 'space' in message
    assert contents(out) == before
    ballast.unlink()
    assert call('train', config, '--work-dir', out, '--resume') is None
    for name in ('metrics.json', 'report.json'):
        assert (out / 'request_02' / name).read_text() == (run / 'request_02' /
                                                           name).read_text()


def test_disk_full_while_saving(config, half, monkeypatch):
    """The same without a file system of its own."""
    sync = files.sync
    before = contents(half)

    def full(path):
        if 'merged' in str(path):
            raise OSError(errno.ENOSPC, 'No space left on device')
        sync(path)

    monkeypatch.setattr(files, 'sync', full)
    message = train(config, half, '--resume')
    assert 'No space left on device' in message and str(half) in message
    assert contents(half) == before
    assert not [p for p in half.rglob('.*') if p.name != '.lock']
    kept = sorted(p.name for p in (half / 'request_02').glob('epoch_*.pth'))
    assert kept == ['epoch_1.pth', 'epoch_2.pth']
