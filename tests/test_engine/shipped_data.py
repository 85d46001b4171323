"""Folders of images, as the shipped comparisons want them."""
import shutil

PHOTOS = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog',
          'horse', 'ship', 'truck')
PEOPLE = [f'yaleB{n:02d}' for n in sorted(set(range(1, 40)) - {14})]


def image_folders(root, monkeypatch):
    """Make folders of empty files, named as the classes of the data sets.

    Args:
        root (Path): Where.
        monkeypatch (MonkeyPatch): Sets DATA_ROOT.

    Returns:
        Callable: Sets it for the config of a comparison.
    """
    for data, names in (('people', PEOPLE), ('photos', PHOTOS)):
        for name in names:
            folder = root / data / 'train' / name
            folder.mkdir(parents=True)
            for i in range(5):
                (folder / f'{i}.png').touch()
        shutil.copytree(root / data / 'train', root / data / 'test')

    def use(config):
        data = 'photos' if 'cifar10' in config.stem else 'people'
        monkeypatch.setenv('DATA_ROOT', f'{root / data}/')

    return use
