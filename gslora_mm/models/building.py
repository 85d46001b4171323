"""Building a plain model and making it one that forgets."""
import copy

import torch
from mmengine.registry import DefaultScope

from ..registry import METHODS, MODELS
from ..utils import ForgetError
from .trainable import check_train


def plain_class(config, scope, key='model'):
    """The class of a plain model or head config, its arguments and its scope.

    Args:
        config (dict): The config; left as it is.
        scope (str): Where its type is looked up unless it says so itself.
        key (str): What it is called in the whole config.

    Returns:
        tuple[type, dict, str]: Class, keyword arguments, registry scope.

    Raises:
        ForgetError: If the type is not registered.
    """
    # The libraries' constructors write into their configs: without a copy,
    # the same config could not be built twice.
    cfg = copy.deepcopy(dict(config))
    scope = cfg.pop('_scope_', scope)
    kind = cfg.pop('type')
    found = kind if isinstance(
        kind, type) else MODELS.get(kind if '.' in kind else f'{scope}.{kind}')
    if found is None:
        raise ForgetError(f'{key}.type {kind!r} is not registered in '
                          f'{scope}; add its module to custom_imports')
    return found, cfg, scope


def draw_weights(config, generator):
    """Weights of a plain model that never was trained.

    Args:
        config (dict): Its config, with its scope; left as it is.
        generator (torch.Generator): Gives the seed.

    Returns:
        dict[str, Tensor]: State dict, on the CPU.
    """
    plain, cfg, scope = plain_class(config, config['_scope_'])
    seed = int(torch.randint(2**31, (1, ), generator=generator))
    with torch.random.fork_rng(
            devices=[]), DefaultScope.overwrite_default_scope(scope):
        torch.default_generator.manual_seed(seed)
        model = plain(**cfg)
        model.init_weights()
    return model.state_dict()


def set_up(model, lora, method, group, dropout, streams, train):
    """Put the method and what it trains into a model that forgets.

    Args:
        model (ForgettingMixin): The model, just built.
        lora (dict | None): Arguments of :func:`gslora_mm.lora.inject_lora`.
        method (dict): Config of the forgetting method.
        group (str): ``'block'``, ``'lora'`` or ``'matrix'``.
        dropout (bool): Keep the dropout of frozen layers on.
        streams (str): ``'fused'`` or ``'separate'``.
        train (str | dict): See :func:`~gslora_mm.models.check_train`.

    Raises:
        ForgetError: If an option is unknown or nothing can be matched.
    """
    if streams not in ('fused', 'separate'):
        raise ForgetError(f"streams must be 'fused' or 'separate', not "
                          f'{streams!r}')
    check_train(train)
    try:
        model.setup_forgetting(lora or {}, _build_method(method), group,
                               dropout, streams, train)
    except (TypeError, ValueError) as err:
        raise ForgetError(f'LoRA cannot be inserted: {err}') from err


def _build_method(cfg):
    try:
        # Without a scope mmengine looks in that of the run, e.g. mmdet, and
        # warns that it has no such registry.
        return METHODS.build(dict(cfg, _scope_='gslora_mm'))
    except (KeyError, TypeError) as err:
        raise ForgetError(
            f'model.method cannot be built: {err.args[0]}') from err
