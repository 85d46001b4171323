"""The config of a recovery, read and checked."""
import re
from dataclasses import dataclass, field
from pathlib import Path

from ...utils import ForgetError
from ..config_checks import check_number, refuse_unknown
from ..study.axes import existing_file, read_options
from ..study.config import check_seeds, read_plain
from .variants import DEFAULTS, STEPS, read_probes, read_steps, read_variants

_KEYS = ('name', 'settings', 'methods', 'models', 'reference', 'variants',
         'steps', 'lr', 'batch_size', 'seeds', 'probes', 'options', 'folder')
_REFERENCE_KEYS = ('config', 'options', 'title', 'as_long')


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
            model that is trained without the forgotten classes, and whether
            it takes ``as_long`` as one with them.
        variants (dict[str, dict]): How classes are brought back.
        steps (list[int]): When it is measured.
        lr (float): Learning rate, where a variant has none of its own.
        batch_size (int | None): Images per step; None: as in the base.
        seeds (list[int]): Seeds.
        probes (dict | None): What is asked of frozen features; None:
            nothing. See :func:`~.variants.read_probes`.
        options (dict): Options of all settings, e.g. of another split.
        folder (str): Where it is kept, in the folder of the comparison.
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
    probes: dict = None
    options: dict = field(default_factory=dict)
    folder: str = 'recover'


def read_recovery(path, seeds=None):
    """Read the config of a recovery.

    It holds ``comparison``, a path relative to it, and ``recovery``::

        recovery = dict(
            name='what the tables are called',
            methods=['gs_lora', 'output_filter'],   # default all
            settings=['single'],                    # default all
            models={'Mine': 'work_dirs/mine/request_01/merged.pth'},
            # Trained without the classes, by tools/pretrain.py.
            # as_long: images without them come up again until there are as
            # many as with them, for as many steps. Default False.
            reference=dict(config='../pretrain/vit_shapes.py', options={},
                           as_long=True),
            variants={
                'full': {},                          # all training images
                'as published': dict(fresh=False),   # from the rows left
                'few-shot': dict(shots=4),           # of a forgotten class
                # The whole model; its share of every batch are those images.
                '1-shot': dict(shots=1, share=.25, train='all', lr=1e-4),
                'prototype': dict(images=5, mix=.5)  # without a gradient
            },
            steps=[0, 10, 100], lr=1e-3, batch_size=48, seeds=[0, 1, 2],
            # Linear probes of frozen features, trained on so many images of
            # each class; none without it.
            probes=dict(images=100))

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
        read_variants(content.get('variants', DEFAULTS), path),
        read_steps(content.get('steps', STEPS), f'recovery.steps of {path}'),
        lr, batch,
        check_seeds(content.get('seeds', [0]) if seeds is None else seeds),
        read_probes(content.get('probes'), path),
        read_options(content.get('options', {}), f'options of {path}'),
        _folder(content.get('folder', 'recover'), path))


def _folder(name, path):
    if not isinstance(name, str) or not re.fullmatch(r'[\w+-][\w.+-]*', name):
        raise ForgetError(f'recovery.folder of {path} is {name!r}; give the '
                          'name of a folder, letters, digits, . + - _')
    return name


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
    as_long = content.get('as_long', False)
    if not isinstance(as_long, bool):
        raise ForgetError(f'as_long of the {where} is {as_long!r}; give True '
                          'or False')
    return dict(
        as_long=as_long,
        config=existing_file(
            content.get('config'), folder, f'config of the {where}'),
        options=read_options(
            content.get('options', {}), f'options of the {where}'),
        title=content.get('title', 'Never saw them'))
