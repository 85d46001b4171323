"""Set-up and packaging: what a user types before anything is trained."""
import re
import shutil
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from shell_tools import ROOT, run


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
