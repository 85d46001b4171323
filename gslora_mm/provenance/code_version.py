"""Which code ran, and on what: the head of a manifest."""
import hashlib
import os
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import torch

from ..utils.cpu_matmul import SWITCH
from ..version import __version__

_FORMAT = 'gslora_mm manifest 1'
_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = ('torch', 'torchvision', 'numpy', 'mmengine', 'mmcv', 'mmdet',
              'mmpretrain', 'safetensors', 'pycocotools')


def manifest_head(kind):
    """What every manifest begins with.

    Args:
        kind (str): What it is of: ``'start'``, ``'request'``, ``'release'``
            or ``'revert'``.

    Returns:
        dict: ``format``, ``kind``, ``code`` and ``environment``.
    """
    return dict(
        format=_FORMAT,
        kind=kind,
        code=code_version(),
        environment=environment())


@lru_cache(maxsize=None)
def code_version():
    """Which code this is.

    Returns:
        dict: ``version`` of the package; ``source``, SHA-256 over the names
        and contents of its files; and of a git checkout ``commit`` and
        ``dirty``, whether files differ from it (None where there is no git).
    """
    commit = _git('rev-parse', 'HEAD')
    changes = _git('status', '--porcelain', '--', str(_PACKAGE))
    return dict(
        version=__version__,
        source=_source_digest(),
        commit=commit or None,
        dirty=bool(changes) if commit and changes is not None else None)


def _git(*arguments):
    """What git says; None if this is no checkout, or there is no git."""
    root = _PACKAGE.parent
    if not (root / '.git').exists():
        return None
    try:
        done = subprocess.run(['git', '-C', str(root), *arguments],
                              capture_output=True,
                              text=True,
                              timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _source_digest():
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob('*.py')):
        name = path.relative_to(_PACKAGE).as_posix()
        if not name.startswith('.mim/'):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f'{name} {content}\n'.encode())
    return digest.hexdigest()


def environment():
    """On what the code runs.

    Returns:
        dict: Versions of Python and the libraries (None where one is not
        installed), operating system, processor, GPUs, threads, and how
        matrices are multiplied on the CPU.
    """
    versions = {name: _version(name) for name in _LIBRARIES}
    gpus = [
        torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
    ] if torch.cuda.is_available() else []
    return dict(
        python=sys.version.split()[0],
        **versions,
        cuda=torch.version.cuda,
        os=platform.platform(),
        cpu=_cpu(),
        cores=os.cpu_count(),
        gpus=gpus,
        threads=torch.get_num_threads(),
        processes=int(os.environ.get('WORLD_SIZE', 1)),
        matrix_products=os.environ.get(SWITCH))


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu():
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return platform.processor() or None
    named = [x.partition(':')[2] for x in lines if x.startswith('model name')]
    return named[0].strip() if named else platform.processor() or None
