"""What tells one data set from another, wherever it lies."""
import hashlib
import os
import os.path as osp

from mmpretrain.datasets import CustomDataset

from .data_config import dataset_class, plain_dataset

_BLOCK = 2**20


def data_digests(cfg):
    """SHA-256 of the annotations or lists of every split of a config.

    Of images in folders it is that of their names, sorted, with their
    folders of classes: what decides which images a request may draw. The
    images themselves are not read.

    Args:
        cfg (Config): The whole config.

    Returns:
        dict[str, str | None]: By the key of the split in the config; None
        where the data is remote or of a kind that is not known.
    """
    splits = dict(
        train=cfg.train_dataloader.dataset, val=cfg.val_dataloader.dataset)
    gallery = (cfg.get('forget') or {}).get('gallery') or {}
    if gallery.get('dataset'):
        splits['gallery'] = gallery.dataset
    return {key: _digest(plain_dataset(data)) for key, data in splits.items()}


def _digest(data):
    root, listed = data.get('data_root') or '', data.get('ann_file')
    if listed:
        path = osp.join(root, osp.expanduser(listed))
        return _of_file(path) if osp.isfile(path) else None
    if not issubclass(dataset_class(data), CustomDataset):
        return None
    prefix = data.get('data_prefix') or ''
    if isinstance(prefix, dict):
        prefix = prefix.get('img_path', '')
    folder = osp.join(root, osp.expanduser(prefix))
    return _of_names(folder) if osp.isdir(folder) else None


def _of_file(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _of_names(folder):
    names = sorted(
        osp.relpath(osp.join(place, name), folder).replace(os.sep, '/')
        for place, _, files in os.walk(folder) for name in files)
    return hashlib.sha256(
        '\n'.join(names).encode(errors='surrogateescape')).hexdigest()
