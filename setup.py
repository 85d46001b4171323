"""Packaging of gslora_mm; `make env` sets up a whole environment."""
import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# What mim and mmengine look for under gslora_mm/.mim.
MIM_PARTS = ('configs', 'tools', 'model-index.yml')


class BuildWithMim(build_py):
    """Add ``.mim``: links in an editable install, copies in a wheel."""

    def run(self):
        """Build the package, then its ``.mim``."""
        super().run()
        if self.editable_mode:
            folder, place = ROOT / 'gslora_mm' / '.mim', _link
        else:
            folder, place = Path(self.build_lib, 'gslora_mm', '.mim'), _copy
        folder.mkdir(parents=True, exist_ok=True)
        for part in MIM_PARTS:
            _remove(folder / part)
            place(ROOT / part, folder / part)


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _link(source, target):
    try:
        # Relative, so that the checkout can be moved.
        target.symlink_to(os.path.relpath(source, target.parent))
    except OSError:  # Windows without the right to make links
        _copy(source, target)


def _copy(source, target):
    if source.is_dir():
        shutil.copytree(
            source, target, ignore=shutil.ignore_patterns('__pycache__'))
    else:
        shutil.copy(source, target)


def _version():
    text = (ROOT / 'gslora_mm' / 'version.py').read_text(encoding='utf-8')
    return re.search(r"__version__ = '(.+)'", text).group(1)


def _requirements(name):
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    lines = [line.split('#')[0].strip() for line in lines]
    return [line for line in lines if line]


def _readme():
    path = ROOT / 'README.md'
    return path.read_text(encoding='utf-8') if path.exists() else ''


mim, tests = _requirements('mminstall'), _requirements('tests')
setup(
    name='gslora_mm',
    version=_version(),
    description='Class forgetting for OpenMMLab models by Group Sparse LoRA',
    long_description=_readme(),
    long_description_content_type='text/markdown',
    author='The gslora_mm authors',
    license='Apache-2.0',
    keywords='machine unlearning, continual forgetting, LoRA, mmdetection',
    packages=find_packages(include=['gslora_mm', 'gslora_mm.*']),
    python_requires='>=3.10',
    # Neither torch nor mm*: which builds of them fit is the user's choice.
    install_requires=_requirements('runtime'),
    extras_require=dict(mim=mim, tests=tests, all=mim + tests),
    cmdclass=dict(build_py=BuildWithMim),
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    zip_safe=False)
