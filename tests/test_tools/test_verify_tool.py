"""tools/verify.py: what it prints, and its exit status."""
import json
import shutil

import pytest
from tool_calls import call, checked, error_of, process


def test_whole_run(run, capsys):
    assert call('verify', run) is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f'chain of 3 manifests in {run}'
    assert lines[-1] == 'whole'
    head = json.loads((run / 'chain.json').read_text())['head']
    assert f'head: {head}' in lines
    assert any('tensors equal the base bit by bit' in line for line in lines)
    assert call('verify', run, '--head', head) is None
    assert 'first chain.json wrong' in error_of('verify', run, '--head', 'x')


def test_faults_in_json(run, tmp_path, capsys):
    copy = tmp_path / 'run'
    shutil.copytree(run, copy)
    (copy / 'request_01/metrics.json').write_text('{}')
    message = error_of('verify', copy, '--json')
    assert 'first request_01/metrics.json altered' in message
    found = json.loads(capsys.readouterr().out)
    assert found['whole'] is False
    assert found['faults'][0]['file'] == 'request_01/metrics.json'


def test_exit_status(half):
    """In a process of its own: half a run has a manifest that is gone."""
    done = process('verify', half)
    assert done.returncode == 1
    assert 'MISSING  request_02/manifest.json' in done.stdout
    assert 'is not whole' in checked(done.stderr)


@pytest.mark.parametrize('option', ['--base', '--release'])
def test_files_that_are_not_there(run, option):
    assert 'nowhere.pth' in error_of('verify', run, option, 'nowhere.pth')
