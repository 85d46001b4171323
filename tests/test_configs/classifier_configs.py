"""The classifier configs, and folders of images that they can read."""
from pathlib import Path

import cv2
import numpy as np

from gslora_mm.engine import read_config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
PEOPLE = [f'yaleB{i:02d}' for i in range(1, 40) if i != 14]
CIFAR = [
    'airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse',
    'ship', 'truck'
]
HUNDRED = [f'n{place:02d}' for place in range(100)]
# Folders that stand in for the data; None: the data set knows its classes.
FOLDERS = {
    'pretrain/facevit_casia100': HUNDRED,
    'pretrain/vit_cifar10': CIFAR,
    'pretrain/vit_faces': PEOPLE,
    'pretrain/vit_shapes': None,
    'pretrain/vit_shapes_long': None
}
_SETTINGS = ('', '_4shot', '_missing')
# Settings of each model; every one with GS-LoRA and with GS-LoRA++.
_FORGET = {
    'facevit_casia100': (HUNDRED, (*_SETTINGS, '_5', '_10', '_10_2shot', '_50',
                                   '_90', '_proximal')),
    'vit-b_in100': (HUNDRED, ('', '_proximal')),
    'vit-b_in1k': (None, ('', )),
    'vit_cifar10': (CIFAR, ('', )),
    'vit_faces': (PEOPLE, _SETTINGS),
    'vit_shapes': (None, _SETTINGS),
}
for _model, (_names, _settings) in _FORGET.items():
    FOLDERS.update({
        f'gslora/{_model}_forget{setting}{method}': _names
        for setting in _settings
        for method in ('', '_pp')
    })
FOLDERS['gslora/vit_shapes_long'] = FOLDERS['gslora/vit_shapes_long_pp'] = None
for _model in ('vit_shapes', 'vit_faces', 'vit_cifar10'):
    FOLDERS.update({
        f'gslora/{_model}_counterfactual{kind}': _FORGET[_model][0]
        for kind in ('', '_deep')
    })
FORGET = [name for name in FOLDERS if name.startswith('gslora/')]


def load(name, root=None, **options):
    """Read a config by its name, with its data in ``root`` if given."""
    if root is not None:
        for split in ('train', 'val'):
            options[f'{split}_dataloader.dataset.data_root'] = f'{root}/'
    return read_config(str(CONFIGS / f'{name}.py'), options)


def write_folders(root, classes, size=(40, 48)):
    """One image of noise for every class and split.

    Args:
        root (Path): ``{train,test,val}/<class>`` are made in it.
        classes (Sequence[str]): Class names.
        size (tuple[int]): Height and width in pixels.

    Returns:
        Path: ``root``.
    """
    rng = np.random.default_rng(0)
    for split in ('train', 'test', 'val'):
        for name in classes:
            folder = Path(root) / split / name
            folder.mkdir(parents=True)
            image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / '0.png'), image)
    return root
