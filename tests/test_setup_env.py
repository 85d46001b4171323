"""Make targets and tools/setup_env.sh."""
import os
import shutil
import sys

import pytest
from shell_tools import ROOT, run, script, stub_python

SETUP = ROOT / 'tools' / 'setup_env.sh'


@pytest.mark.parametrize('target, command', [
    ('test', '-m pytest -q tests'),
    ('demo', 'tools/train.py configs/gslora/ddetr_shapes_forget.py'),
    ('bench', 'benchmarks/run.py'),
])
def test_make_sets_up_then_runs(target, command):
    lines = run('make', '-n', target, GSLORA_PYTHON=None).stdout.splitlines()
    lines = [line for line in lines if not line.startswith('make')]
    assert lines[0] == 'bash tools/setup_env.sh'
    assert f'.venv/bin/python {command}' in lines[1]


def test_make_uses_the_given_interpreter():
    out = run('make', '-n', 'test', 'GSLORA_PYTHON=/some/python').stdout
    assert '/some/python -m pytest' in out and '.venv' not in out


def test_shell_syntax():
    for path in (SETUP, ROOT / '.ci' / 'run'):
        assert run('bash', '-n', str(path)).returncode == 0
        assert os.access(path, os.X_OK)


def test_given_interpreter_without_packages(tmp_path):
    python = stub_python(tmp_path / 'python')
    result = run('make', 'test', f'GSLORA_PYTHON={python}')
    error = result.stderr.splitlines()[0]
    assert result.returncode != 0
    assert error.startswith('error: ') and 'Traceback' not in result.stderr
    assert 'torch' in error and 'mmcv' in error and 'MMCV_WITH_OPS=1' in error


def test_given_interpreter_with_mmcv_without_ops(tmp_path):
    packages = tmp_path / 'packages'
    sys.path.insert(0, str(ROOT / 'tools'))
    try:
        from check_env import PACKAGES
    finally:
        sys.path.pop(0)
    for name in PACKAGES:
        (packages / name).mkdir(parents=True)
        (packages / name / '__init__.py').touch()
    python = stub_python(tmp_path / 'python', packages)
    result = run('bash', str(SETUP), GSLORA_PYTHON=str(python))
    assert result.returncode != 0
    assert 'mmcv without working ops' in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_given_interpreter_that_does_not_exist():
    result = run('bash', str(SETUP), GSLORA_PYTHON='/no/such/python')
    assert result.returncode != 0
    assert result.stderr == (
        'error: GSLORA_PYTHON=/no/such/python is no program\n')


STUB_BASE = """#!/bin/bash
# Makes a .venv whose interpreter only writes down what it is asked.
case "$*" in
-m\\ venv*)
    mkdir -p .venv/bin
    cp "$(dirname "$0")/venv_python" .venv/bin/python ;;
*) exec {python} "$@" ;;
esac
"""
STUB_VENV = """#!/bin/bash
case "$*" in
*'pip --version'*) echo pip ;;
*'pip install'*)
    echo "$* MAX_JOBS=$MAX_JOBS" >>pip_calls
    if [ -e broken ] && [[ "$*" == *"$(cat broken)"* ]]; then
        echo 'the network is down'
        exit 1
    fi
    [[ "$*" != *' -e .'* ]] || mkdir -p gslora_mm/.mim/configs ;;
*version_info*) exec {python} "$@" ;;
*'import torch'*) echo 2.11.0 None ;;
*'import mmcv.ops'*) ;;
*check_env*) echo checked ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A checkout with stubs for the base interpreter and for .venv's."""
    folder = tmp_path / 'checkout'
    shutil.copytree(ROOT / 'requirements', folder / 'requirements')
    (folder / 'tools').mkdir()
    shutil.copy(SETUP, folder / 'tools')
    shutil.copy(ROOT / 'setup.py', folder)
    python = os.path.realpath(sys.executable)
    script(tmp_path / 'base' / 'python', STUB_BASE.format(python=python))
    script(tmp_path / 'base' / 'venv_python', STUB_VENV.format(python=python))
    return folder


def set_up(checkout, **variables):
    """Run setup_env.sh there; its result and the pip calls it made."""
    calls = checkout / 'pip_calls'
    calls.unlink(missing_ok=True)
    variables = {
        'PYTHON': str(checkout.parent / 'base' / 'python'),
        'GSLORA_PYTHON': None,
        'TORCH_SPEC': None,
        'MAX_JOBS': None,
        **variables
    }
    result = run('bash', 'tools/setup_env.sh', cwd=checkout, **variables)
    calls = calls.read_text().splitlines() if calls.exists() else []
    return result, calls


def test_set_up_installs_pins_and_builds_mmcv_once(checkout):
    result, calls = set_up(checkout, MAX_JOBS='3')
    assert result.returncode == 0, result.stderr
    assert '6-10 minutes' in result.stdout and 'ready' in result.stdout
    mmcv = [c for c in calls if 'mmcv==2.1.0' in c]
    assert len(calls) == 5 and len(mmcv) == 1
    assert '--no-build-isolation' in mmcv[0] and 'MAX_JOBS=3' in mmcv[0]

    result, calls = set_up(checkout)
    assert (result.returncode, result.stdout, calls) == (0, '', [])
    # The stamp alone decides, also without PYTHON.
    result, calls = set_up(checkout, PYTHON=None)
    assert (result.returncode, calls) == (0, [])


def test_changed_requirements_are_installed_without_rebuilding(checkout):
    set_up(checkout)
    with open(checkout / 'requirements' / 'runtime.txt', 'a') as file:
        file.write('tqdm\n')
    result, calls = set_up(checkout)
    assert 'mmcv with ops is there' in result.stdout
    assert len(calls) == 4 and not any('mmcv==' in c for c in calls)


@pytest.mark.parametrize('step', ['torch.txt', 'mmcv==2.1.0', '-e .'])
def test_failed_set_up_says_where_and_goes_on(checkout, step):
    (checkout / 'broken').write_text(step)
    result, _ = set_up(checkout)
    assert result.returncode != 0
    assert 'the network is down' in result.stderr
    assert 'error: this step failed; whole log: .venv/logs' in result.stderr
    (checkout / 'broken').unlink()
    result, calls = set_up(checkout, PYTHON=None)
    assert result.returncode == 0 and 'going on with it' in result.stdout
    assert any('mmcv==' in c for c in calls) == (step != '-e .')


def test_another_torch(checkout):
    spec = 'torch==2.8.0 torchvision==0.23.0'
    _, calls = set_up(checkout, TORCH_SPEC=spec)
    assert any(spec in c for c in calls)
    assert not any('torch.txt' in c for c in calls)


def test_interpreter_of_the_wrong_version(checkout, tmp_path):
    python = script(tmp_path / 'old',
                    '#!/bin/sh\necho "is Python 3.7; 3.10"\n')
    result, calls = set_up(checkout, PYTHON=str(python))
    assert result.returncode != 0 and not calls
    assert result.stderr.startswith(f'error: {python} is Python 3.7')


def test_no_interpreter(checkout):
    result, _ = set_up(checkout, PYTHON='no-such-python')
    assert result.returncode != 0
    assert 'found no no-such-python: apt-get install' in result.stderr


def test_no_compiler(checkout):
    result, calls = set_up(checkout, CXX='no-such-compiler')
    assert result.returncode != 0 and not calls
    assert result.stderr == ('error: no C++ compiler (no-such-compiler): '
                             'apt-get install g++\n')


def test_progress_is_counted_from_the_log(checkout):
    slow = checkout.parent / 'base' / 'venv_python'
    slow.write_text(slow.read_text().replace(
        'echo "$* MAX_JOBS', '[[ "$*" != *mmcv==* ]] || '
        '{ echo "  [7/77] c++ x.cpp"; sleep 2.5; }\n    echo "$* MAX_JOBS'))
    result, _ = set_up(checkout, GSLORA_PROGRESS_SECONDS='1')
    assert '1 s, compiled 7 of 77 files' in result.stdout
