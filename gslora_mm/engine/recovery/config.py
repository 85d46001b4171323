"""The config of a recovery, read and checked."""
from dataclasses import dataclass
from pathlib import Path

from ...utils import ForgetError
from ..config_checks import check_number, refuse_unknown
from ..study.axes import existing_file, read_options
from ..study.config import check_seeds, read_plain

_KEYS = ('name', 'settings', 'methods', 'models', 'reference', 'variants',
         'steps', 'lr', 'batch_size', 'seeds')
_REFERENCE_KEYS = ('config', 'options', 'title')
_VARIANT_KEYS = ('shots', 'fresh', 'images', 'mix')
_VARIANTS = {
    'full': {},
    'few-shot': dict(shots=4),
    'prototype': dict(images=5, mix=.5)
}
_STEPS = [0, 5, 10, 20, 50, 100, 200]


@dataclass(frozen=True)
class RecoverySettings:
    """A recovery, read and checked.

    Args:
        name (str): Its title.
        comparison (str): Config of the comparison whose models are looked
            at.
        settings (list[str] | None): Its settings; None: all.
        methods (list[str] | None): Its methods; None: all.
        models (dict[str, str]): Further checkpoints by title; ``{seed}`` in
            a path stands for the seed.
        reference (dict | None): ``config``, ``options`` and ``title`` of the
            model that is trained without the forgotten classes.
        variants (dict[str, dict]): How classes are brought back.
        steps (list[int]): When it is measured.
        lr (float): Learning rate of the head.
        batch_size (int | None): Images per step; None: as in the base.
        seeds (list[int]): Seeds.
    """
    name: str
    comparison: str
    settings: list
    methods: list
    models: dict
    reference: dict
    variants: dict
    steps: list
    lr: float
    batch_size: int
    seeds: list


def read_recovery(path, seeds=None):
    """Read the config of a recovery.

    It holds ``comparison``, a path relative to it, and ``recovery``::

        recovery = dict(
            name='what the tables are called',
            methods=['gs_lora', 'output_filter'],   # default all
            settings=['single'],                    # default all
            models={'Mine': 'work_dirs/mine/request_01/merged.pth'},
            # Trained without the classes, by tools/pretrain.py.
            reference=dict(config='../pretrain/vit_shapes.py', options={}),
            variants={
                'full': {},                          # all training images
                'as published': dict(fresh=False),   # from the rows left
                'few-shot': dict(shots=4),           # of a forgotten class
                'prototype': dict(images=5, mix=.5)  # without a gradient
            },
            steps=[0, 10, 100], lr=1e-3, batch_size=48, seeds=[0, 1, 2])

    Args:
        path (str): The config file.
        seeds (list[int], optional): Instead of those of the config.

    Returns:
        RecoverySettings: The recovery.

    Raises:
        ForgetError: If something is missing, unknown or out of range.
    """
    cfg, folder = read_plain(path, 'recovery'), Path(path).parent
    content = cfg.get('recovery')
    if not isinstance(content, dict):
        raise ForgetError(f'{path} is no recovery: it has no recovery '
                          'section; see configs/compare/ for examples')
    refuse_unknown(f'recovery of {path}', content, _KEYS)
    lr, batch = content.get('lr', 1e-3), content.get('batch_size')
    check_number(f'recovery.lr of {path}', lr, float, 0)
    check_number(f'recovery.batch_size of {path}', batch, int, 1)
    return RecoverySettings(
        content.get('name',
                    Path(path).stem),
        existing_file(cfg.get('comparison'), folder, f'comparison of {path}'),
        _names(content, 'settings', path), _names(content, 'methods', path),
        read_options(content.get('models', {}), f'models of {path}'),
        _reference(content.get('reference'), folder, path),
        _variants(content.get('variants', _VARIANTS), path),
        _steps(content.get('steps', _STEPS), path), lr, batch,
        check_seeds(content.get('seeds', [0]) if seeds is None else seeds))


def _names(content, key, path):
    found = content.get(key)
    if found is not None and (not isinstance(found, list) or
                              not all(isinstance(name, str)
                                      for name in found)):
        raise ForgetError(f'recovery.{key} of {path} is {found!r}; give a '
                          'list of names')
    return found


def _reference(content, folder, path):
    if content is None:
        return None
    where = f'reference of {path}'
    if not isinstance(content, dict):
        raise ForgetError(f'{where} must be dict(config=PATH, options={{}})')
    refuse_unknown(where, content, _REFERENCE_KEYS)
    return dict(
        config=existing_file(
            content.get('config'), folder, f'config of the {where}'),
        options=read_options(
            content.get('options', {}), f'options of the {where}'),
        title=content.get('title', 'Never saw them'))


def _variants(content, path):
    if not isinstance(content, dict) or not content:
        raise ForgetError(f'recovery.variants of {path} is {content!r}; give '
                          "e.g. {'full': {}, 'few-shot': dict(shots=4)}")
    for name, variant in content.items():
        where = f'variant {name!r} of {path}'
        refuse_unknown(where, read_options(variant, where), _VARIANT_KEYS)
        check_number(f'shots of {where}', variant.get('shots'), int, 1)
        check_number(f'images of {where}', variant.get('images'), int, 1)
        learns = {'shots', 'fresh'} & set(variant)
        if learns and {'images', 'mix'} & set(variant):
            raise ForgetError(f'{where} has {learns.pop()}, for a head that '
                              'learns, beside what prototypes are made of; '
                              'keep one')
        if not isinstance(variant.get('fresh', True), bool):
            raise ForgetError(f'fresh of {where} must be True or False')
    return {str(name): dict(v) for name, v in content.items()}


def _steps(steps, path):
    if not isinstance(steps, list) or len(steps) < 2 or any(
            isinstance(s, bool) or not isinstance(s, int) or s < 0
            for s in steps):
        raise ForgetError(f'recovery.steps of {path} is {steps!r}; give two '
                          'or more whole numbers, e.g. [0, 10, 100]')
    return sorted({0, *steps})
