"""Set-up and packaging: what a user types before anything is trained."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
SETUP = ROOT / 'tools' / 'setup_env.sh'


def run(*command, cwd=ROOT, **variables):
    """Run a command with ``variables`` set (None: unset)."""
    env = {**os.environ, **variables}
    env = {k: v for k, v in env.items() if v is not None}
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120)


def script(path, text):
    """Write an executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def stub_python(path, packages=''):
    """An interpreter that sees the standard library and ``packages``."""
    return script(
        path, f'#!/bin/sh\nunset PYTHONPATH\n'
        f'{"export PYTHONPATH=" + str(packages) if packages else ""}\n'
        f'exec {sys.executable} -S "$@"\n')


def requirements(name):
    """The requirements of one file."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    lines = [line.split('#')[0].strip() for line in lines]
    return [Requirement(line) for line in lines if line]


# --- requirements ------------------------------------------------------------


@pytest.mark.parametrize('name', ['build', 'torch', 'lock'])
def test_environment_is_pinned(name):
    for requirement in requirements(name):
        assert re.fullmatch(r'==[\w.]+', str(requirement.specifier))


@pytest.mark.parametrize('version', ['3.10', '3.11', '3.12'])
def test_lock_pins_each_package_once(version):
    here = dict(python_version=version)
    lock = [
        r for r in requirements('lock')
        if r.marker is None or r.marker.evaluate(here)
    ]
    names = [r.name.lower() for r in lock]
    assert len(set(names)) == len(names)
    pinned = {r.name.lower(): str(r.specifier)[2:] for r in lock}
    for requirement in requirements('runtime') + requirements('tests'):
        assert requirement.specifier.contains(
            pinned[requirement.name.lower()], prereleases=True)


def test_pinned_stack():
    pins = {r.name: str(r.specifier) for r in requirements('mminstall')}
    assert pins == {
        'mmcv': '==2.1.0',
        'mmdet': '==3.3.0',
        'mmengine': '==0.10.7',
        'mmpretrain': '==1.2.0',
        'setuptools': '<81'
    }
    # A fork with the same import names must not be overwritten.
    assert not any(r.name.startswith('mm') for r in requirements('runtime'))


# --- setup.py ----------------------------------------------------------------


def test_version_is_that_of_the_package():
    import gslora_mm
    result = run(sys.executable, 'setup.py', '--version')
    assert result.stdout.split()[-1] == gslora_mm.__version__
    citation = (ROOT / 'CITATION.cff').read_text()
    assert f'version: {gslora_mm.__version__}\n' in citation


def small_copy(folder):
    """A copy of what packaging reads, with one small config."""
    for name in ('setup.py', 'setup.cfg', 'MANIFEST.in', 'model-index.yml'):
        shutil.copy(ROOT / name, folder)
    for name in ('gslora_mm', 'requirements', 'configs'):
        shutil.copytree(
            ROOT / name,
            folder / name,
            ignore=shutil.ignore_patterns('.mim', '__pycache__'))
    (folder / 'tools').mkdir()
    (folder / 'configs' / 'gslora' / 'tiny.py').write_text('rank = 8\n')
    return folder


def build(command, folder):
    """Run a build command of setup.py."""
    result = run(
        sys.executable,
        '-W',
        'ignore',
        'setup.py',
        '-q',
        *command,
        cwd=folder,
        PYTHONPATH=None)
    assert result.returncode == 0, result.stderr


READ_CHILD = """
import gslora_mm
from mmengine.config import Config
cfg = Config.fromfile('child.py')
print(gslora_mm.__file__, cfg.rank, cfg.alpha)
"""


@pytest.fixture
def child(tmp_path):
    """A user's folder with a config that inherits from ours."""
    folder = tmp_path / 'user'
    folder.mkdir()
    (folder / 'child.py'
     ).write_text("_base_ = 'gslora_mm::gslora/tiny.py'\nalpha = 2\n")
    return folder


def test_wheel_resolves_gslora_mm_configs(tmp_path, child):
    copy = tmp_path / 'copy'
    copy.mkdir()
    build(['build', '--build-lib', tmp_path / 'lib'], small_copy(copy))
    shutil.rmtree(copy)
    result = run(
        sys.executable,
        '-W',
        'ignore',
        '-c',
        READ_CHILD,
        cwd=child,
        PYTHONPATH=str(tmp_path / 'lib'))
    assert result.stdout.split()[1:] == ['8', '2'], result.stderr
    assert str(tmp_path / 'lib') in result.stdout


READ_SCOPES = """
import gslora_mm
from mmengine.config import Config
cfg = Config.fromfile('forget.py')
for part in (cfg.model, cfg.val_dataloader.dataset, cfg.val_evaluator):
    print(part['_scope_'])
"""


def test_inherited_parts_keep_the_scope_of_mmdet(tmp_path, child):
    # mmengine stamps scope gslora_mm on parts without one, and would then
    # look for mmdet's classes here.
    copy = tmp_path / 'copy'
    copy.mkdir()
    build(['build', '--build-lib', tmp_path / 'lib'], small_copy(copy))
    (child / 'forget.py'
     ).write_text("_base_ = 'gslora_mm::gslora/ddetr_shapes_forget.py'\n")
    result = run(
        sys.executable,
        '-W',
        'ignore',
        '-c',
        READ_SCOPES,
        cwd=child,
        PYTHONPATH=str(tmp_path / 'lib'))
    assert result.stdout.split() == ['mmdet'] * 3, result.stderr


def test_editable_install_resolves_gslora_mm_configs(tmp_path, child):
    copy = tmp_path / 'copy'
    copy.mkdir()
    small_copy(copy)
    target = tmp_path / 'site'
    result = run(
        sys.executable,
        '-m',
        'pip',
        'install',
        '-q',
        '--no-deps',
        '--no-build-isolation',
        '--no-index',
        '--target',
        str(target),
        '-e',
        str(copy),
        PYTHONPATH=None)
    if 'No module named pip' in result.stderr:
        pytest.skip('this interpreter has no pip')
    assert result.returncode == 0, result.stderr
    assert (copy / 'gslora_mm' / '.mim' / 'configs').is_symlink()
    # The links follow the sources.
    tiny = copy / 'configs' / 'gslora' / 'tiny.py'
    tiny.write_text('rank = 16\n')
    # The packages of this interpreter, but not its own gslora_mm, which may
    # be an editable install too.
    packages = [p for p in sys.path if p.endswith('-packages')]
    site = (f'import site, sys; sys.path += {[str(target), *packages]!r}; '
            f'site.addsitedir({str(target)!r})')
    result = run(
        sys.executable,
        '-S',
        '-W',
        'ignore',
        '-c',
        f'{site}\n{READ_CHILD}',
        cwd=child,
        PYTHONPATH=None)
    assert result.stdout.split()[1:] == ['16', '2'], result.stderr
    assert str(copy) in result.stdout


def test_installed_package_resolves_its_own_configs():
    import gslora_mm
    folder = Path(gslora_mm.__file__).parent / '.mim'
    if not folder.exists():
        pytest.skip('gslora_mm is on the path but not installed')
    from mmengine.config import Config
    assert (folder / 'model-index.yml').exists()
    path, scope = Config._get_cfg_path(
        'gslora_mm::gslora/ddetr_shapes_forget.py', 'here.py')
    assert Path(path).samefile(ROOT / 'configs/gslora/ddetr_shapes_forget.py')
    assert scope == 'gslora_mm'


def test_metafile_names_configs_that_exist():
    from mmengine.fileio import load
    for metafile in load(ROOT / 'model-index.yml')['Import']:
        for model in load(ROOT / metafile)['Models']:
            assert (ROOT / model['Config']).exists(), model['Config']


# --- Makefile and setup_env.sh -----------------------------------------------


@pytest.mark.parametrize('target, command', [
    ('test', '-m pytest -q tests'),
    ('demo', 'tools/train.py configs/gslora/ddetr_shapes_forget.py'),
    ('bench', 'benchmarks/run.py'),
])
def test_make_sets_up_then_runs(target, command):
    lines = run('make', '-n', target, GSLORA_PYTHON=None).stdout.splitlines()
    lines = [line for line in lines if not line.startswith('make')]
    assert lines[0] == 'bash tools/setup_env.sh'
    assert lines[1].startswith(f'.venv/bin/python {command}')


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
