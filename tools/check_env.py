"""Check that this interpreter can run gslora_mm; say what is missing."""
import importlib
import importlib.util
import os
import sys

# Import name: what to install. Versions that work together: requirements/.
PACKAGES = {
    'torch': 'torch',
    'torchvision': 'torchvision',
    'mmengine': 'mmengine==0.10.7',
    'mmcv': 'mmcv==2.1.0',
    'mmdet': 'mmdet==3.3.0',
    'mmpretrain': 'mmpretrain==1.2.0',
    'pkg_resources': "'setuptools<81'",
    'numpy': "'numpy<2.4'",
    'pycocotools': 'pycocotools',
    'scipy': 'scipy',
    'pandas': 'pandas',
    'matplotlib': 'matplotlib',
    'rich': 'rich',
    'safetensors': 'safetensors',
    'pytest': 'pytest',
}
BUILD_MMCV = ('MMCV_WITH_OPS=1 pip install --no-build-isolation --no-deps '
              '--no-cache-dir --force-reinstall --no-binary mmcv mmcv==2.1.0')


def missing():
    """str | None: One line about what is missing, with the cure."""
    absent = [n for n in PACKAGES if importlib.util.find_spec(n) is None]
    if absent:
        # mmcv from the registry's default would come without its ops.
        plain = [PACKAGES[n] for n in absent if n != 'mmcv']
        cures = ['pip install ' + ' '.join(plain)] if plain else []
        if 'mmcv' in absent:
            cures.append(BUILD_MMCV)
        return f'lacks {", ".join(absent)}; ' + ', then '.join(cures)
    try:
        from mmcv.ops import MultiScaleDeformableAttention  # noqa: F401
    except Exception as err:  # an undefined symbol is no ImportError
        return (f'has an mmcv without working ops ({_line(err)}); build it '
                f'for the installed torch: {BUILD_MMCV}')
    for name in ('mmdet', 'gslora_mm'):
        try:
            importlib.import_module(name)
        except Exception as err:  # mmdet asserts versions
            return f'cannot import {name} ({_line(err)})'
    return None


def _line(err):
    text = str(err).strip().splitlines()
    return f'{type(err).__name__}: {text[0] if text else ""}'[:200]


def main():
    """Print what is missing and fail, or print what is there."""
    problem = missing()
    if problem:
        sys.exit(f'error: {sys.executable} {problem}')
    import mmcv
    import mmdet
    import torch
    print(f'{sys.executable}: Python {sys.version.split()[0]}, torch '
          f'{torch.__version__}, mmcv {mmcv.__version__} with ops, mmdet '
          f'{mmdet.__version__}, {os.cpu_count()} cores, '
          f'GPU {"yes" if torch.cuda.is_available() else "no"}')


if __name__ == '__main__':
    main()
