"""How classes are brought back, and what probes look at: read and checked."""
from ...models.trainable import check_train
from ...utils import ForgetError
from ..config_checks import check_number, refuse_unknown
from ..study.axes import read_options

DEFAULTS = {
    'full': {},
    'few-shot': dict(shots=4),
    'prototype': dict(images=5, mix=.5)
}
STEPS = [0, 5, 10, 20, 50, 100, 200]
# What else is measured of a model, beside the variants.
RESERVED = 'probes'
_LEARNS = ('shots', 'share', 'fresh', 'train', 'lr', 'steps')
_MAKES = ('images', 'mix')
_PROBE_KEYS = ('images', )


def read_variants(content, path):
    """Check the variants of a recovery.

    Args:
        content (dict): By name; see
            :func:`~gslora_mm.engine.recovery.config.read_recovery`.
        path (str): The config file.

    Returns:
        dict[str, dict]: The same.

    Raises:
        ForgetError: If something is unknown or out of range.
    """
    if not isinstance(content, dict) or not content:
        raise ForgetError(f'recovery.variants of {path} is {content!r}; give '
                          "e.g. {'full': {}, 'few-shot': dict(shots=4)}")
    found = {}
    if RESERVED in content:
        raise ForgetError(f'variant {RESERVED!r} of {path} has the name of '
                          'what recovery.probes measures; choose another')
    for name, variant in content.items():
        where = f'variant {name!r} of {path}'
        variant = read_options(variant, where)
        refuse_unknown(where, variant, (*_LEARNS, *_MAKES))
        _check_variant(variant, where)
        if 'steps' in variant:
            variant['steps'] = read_steps(variant['steps'],
                                          f'steps of {where}')
        found[str(name)] = variant
    return found


def _check_variant(variant, where):
    for key, kind, least in (('shots', int, 1), ('images', int, 1),
                             ('lr', float, 0)):
        check_number(f'{key} of {where}', variant.get(key), kind, least)
    learns = [key for key in _LEARNS if key in variant]
    if learns and set(_MAKES) & set(variant):
        raise ForgetError(f'{where} has {learns[0]}, for a model that '
                          'learns, beside what prototypes are made of; '
                          'keep one')
    if not isinstance(variant.get('fresh', True), bool):
        raise ForgetError(f'fresh of {where} must be True or False')
    if 'train' in variant:
        check_train(variant['train'])
    share = variant.get('share')
    if share is None:
        return
    if isinstance(share,
                  bool) or not isinstance(share,
                                          (int, float)) or not 0 < share < 1:
        raise ForgetError(f'share of {where} is {share!r}; it must lie '
                          'between 0 and 1')
    if 'shots' not in variant:
        raise ForgetError(f'{where} has share, of few images in a batch, '
                          'and no shots; add them or remove it')


def is_prototype(variant):
    """bool: Whether a variant changes rows instead of learning."""
    return not set(_MAKES).isdisjoint(variant)


def kind_of(variant):
    """str: ``'prototype'``, ``'head'``, or ``'tune'`` for more of the model.
    """
    if is_prototype(variant):
        return 'prototype'
    return 'head' if variant.get('train', 'head') == 'head' else 'tune'


def read_steps(steps, where):
    """Steps at which a curve is measured, ascending, 0 among them.

    Args:
        steps (list[int]): As they are given.
        where (str): What they are called.

    Returns:
        list[int]: Sorted.

    Raises:
        ForgetError: If they are no two whole numbers.
    """
    if not isinstance(steps, list) or len(steps) < 2 or any(
            isinstance(s, bool) or not isinstance(s, int) or s < 0
            for s in steps) or not any(steps):
        raise ForgetError(f'{where} is {steps!r}; give two '
                          'or more whole numbers, e.g. [0, 10, 100]')
    return sorted({0, *steps})


def read_probes(content, path):
    """Check the probes of a recovery.

    Args:
        content (dict | None): ``images``, training images (of a detector:
            images with objects) of each class that probes learn from; all
            without it. None: no probes.
        path (str): The config file.

    Returns:
        dict | None: The same.

    Raises:
        ForgetError: If something is unknown or out of range.
    """
    if content is None:
        return None
    where = f'recovery.probes of {path}'
    content = read_options(content, where)
    refuse_unknown(where, content, _PROBE_KEYS)
    check_number(f'{where}: images', content.get('images'), int, 2)
    return content
