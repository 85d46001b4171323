"""Keys and types of what people change on the command line."""
import difflib

from ..utils import ForgetError
from .data_config import plain_dataset

_SECTIONS = ('forget', 'forget.data', 'forget.ema', 'forget.gallery',
             'forget.gallery.dataset', 'forget.lora', 'forget.model',
             'forget.painting', 'forget.prototypes', 'model',
             'model.bbox_head', 'model.head', 'train_dataloader',
             'train_dataloader.dataset', 'val_dataloader',
             'val_dataloader.dataset', 'train_cfg', 'optim_wrapper',
             'optim_wrapper.optimizer')
_DATASETS = ('train_dataloader.dataset', 'val_dataloader.dataset',
             'forget.gallery.dataset')
# Dotted key: kind of number, and the smallest one that makes sense.
_NUMBERS = {
    'train_dataloader.batch_size': (int, 2),
    'train_dataloader.num_workers': (int, 0),
    'val_dataloader.batch_size': (int, 1),
    'val_dataloader.num_workers': (int, 0),
    'train_cfg.max_epochs': (int, 1),
    'optim_wrapper.optimizer.lr': (float, 0),
    'optim_wrapper.optimizer.weight_decay': (float, 0),
    'randomness.seed': (int, 0),
    'forget.data.ratio': (float, 0),
    'forget.data.shots': (int, 1),
    'forget.data.forget_per_batch': (int, 1),
    'forget.data.epoch_batches': (int, 1),
    'forget.data.variants': (int, 1),
    'forget.lora.rank': (int, 1),
    'forget.lora.alpha': (float, 0),
    'forget.gallery.far': (float, 0),
    'forget.max_loss': (float, 0),
}
_WORDS = {int: 'a whole number', float: 'a number'}


def check_types(cfg):
    """Check sections, paths and numbers of a config, where they are given.

    Args:
        cfg (Config): The whole config.

    Raises:
        ForgetError: Naming the key and what it must be.
    """
    for key in _SECTIONS:
        value = _lookup(cfg, key)
        if value is not None and not isinstance(value, dict):
            raise ForgetError(f'{key} is {value!r}; it must be a section, '
                              f'as in --cfg-options {key}.KEY=VALUE')
    for key in _DATASETS:
        data = _lookup(cfg, key)
        if data:
            _check_dataset(key, plain_dataset(data))
        elif key != _DATASETS[-1]:
            raise ForgetError(f'{key} is missing in the config; name the data '
                              'there, as in the configs of this repository')
    for key, (kind, least) in _NUMBERS.items():
        check_number(key, _lookup(cfg, key), kind, least)
    _check_schedulers(cfg)


def _check_schedulers(cfg):
    """A training cut short on the command line may end before one begins."""
    epochs = _lookup(cfg, 'train_cfg.max_epochs')
    given = cfg.get('param_scheduler') or []
    given = [given] if isinstance(given, dict) else given
    for i, one in enumerate(given):
        if epochs is None or not one.get('by_epoch', True):
            continue
        begin, end = one.get('begin', 0), one.get('end', epochs)
        check_number(f'param_scheduler.{i}.begin', begin, int, 0)
        check_number(f'param_scheduler.{i}.end', end, int, 0)
        if begin >= end:
            raise ForgetError(
                f'param_scheduler.{i} ({one.get("type")}) begins after epoch '
                f'{begin}, and the training has {epochs} '
                f'(train_cfg.max_epochs); set param_scheduler.{i}.begin, or '
                'train longer')


def _check_dataset(key, data):
    steps = data.get('pipeline') or []
    if not isinstance(steps, (list, tuple)):
        raise ForgetError(f'{key}.pipeline is {steps!r}; it must be a list of '
                          'transforms')
    for name in ('data_root', 'ann_file'):
        if not isinstance(data.get(name) or '', str):
            raise ForgetError(f'{key}.{name} is {data[name]!r}; it must be a '
                              'path')
    prefix = data.get('data_prefix') or ''
    folders = prefix.values() if isinstance(prefix, dict) else [prefix]
    if not all(isinstance(folder, str) for folder in folders):
        raise ForgetError(
            f'{key}.data_prefix is {prefix!r}; it must be a folder, or for '
            'detectors a section such as dict(img=FOLDER)')


def check_number(key, value, kind, least):
    """Check one number; None, a default, always passes.

    Raises:
        ForgetError: If it is of another kind or too small.
    """
    if value is None:
        return
    kinds = (int, ) if kind is int else (int, float)
    if isinstance(value,
                  bool) or not isinstance(value, kinds) or not value >= least:
        raise ForgetError(
            f'{key} is {value!r}; it must be {_WORDS[kind]} >= {least}')


def _lookup(cfg, key):
    for part in key.split('.'):
        cfg = cfg.get(part) if isinstance(cfg, dict) or hasattr(
            cfg, 'get') else None
    return cfg


def refuse_unknown(where, section, known):
    """Check that a section has no key that nobody reads.

    Args:
        where (str): What the section is called.
        section (dict): The section.
        known (Sequence[str]): Keys that are read.

    Raises:
        ForgetError: At the first other one, with the nearest.
    """
    for key in section:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f'did you mean {near[0]!r}? ' if near else ''
            raise ForgetError(f'{where}.{key} is unknown; {hint}known: '
                              f'{", ".join(known)}')
