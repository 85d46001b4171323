"""Forgetting wrapper for mmdet's DETR family."""
import copy
from functools import lru_cache

from mmdet.models.dense_heads import DETRHead
from mmdet.models.detectors.base_detr import DetectionTransformer
from mmengine.registry import DefaultScope

from ..registry import METHODS, MODELS
from ..utils import ForgetError
from .detr_forgetting import DetrForgettingMixin


def _build_method(cfg):
    try:
        # Without a scope mmengine looks in that of the run, e.g. mmdet, and
        # warns that it has no such registry.
        return METHODS.build(dict(cfg, _scope_='gslora_mm'))
    except (KeyError, TypeError) as err:
        raise ForgetError(
            f'model.method cannot be built: {err.args[0]}') from err


@lru_cache(maxsize=None)
def _forgetting_class(detector_class):
    if not issubclass(detector_class, DetectionTransformer):
        raise ForgetError(
            f'{detector_class.__name__} is not of the DETR family; '
            'forgetting works on detectors derived from '
            'mmdet DetectionTransformer')
    return type(f'Forgetting{detector_class.__name__}',
                (DetrForgettingMixin, detector_class), {})


@MODELS.register_module(name='ForgettingDetector')
def forgetting_detector(detector,
                        method,
                        lora=None,
                        group='block',
                        aux_loss=False,
                        dropout=False,
                        streams='fused',
                        forget_queries='all'):
    """Build an mmdet DETR that forgets classes.

    The result is an instance of the configured detector class with LoRA
    groups in its Transformer blocks. Keys of base weights are those of the
    plain detector. Works on any subclass of mmdet's
    ``DetectionTransformer`` whose head is a ``DETRHead``.

    Args:
        detector (dict): Config of the plain detector.
        method (dict): Config of the forgetting method, e.g.
            ``dict(type='GSLoRA', beta=0.2)``.
        lora (dict, optional): Arguments of
            :func:`gslora_mm.lora.inject_lora`: ``rank``, ``alpha``,
            ``position``, ``include``, ``exclude``.
        group (str): ``'block'`` (default), ``'lora'`` or ``'matrix'``.
        aux_loss (bool): Supervise every decoder layer (and encoder
            proposals, denoising queries) instead of the last layer only, as
            the paper does. Defaults to False.
        dropout (bool): Keep the dropout of frozen layers on in training.
            Defaults to False.
        streams (str): ``'fused'`` runs both streams through the network in
            one forward; ``'separate'`` in one forward each, for networks
            whose images influence each other. The losses are the same.
        forget_queries (str): ``'all'`` raises the classification loss of all
            queries of the forget images, background included, as published;
            ``'matched'`` only that of the queries matched to forgotten
            objects (see :func:`~gslora_mm.models.matched_classification`),
            for data where forgotten and retained objects share most images.

    Returns:
        DetectionTransformer: The detector, LoRA initialised, all else frozen.

    Raises:
        ForgetError: If the detector is not of the DETR family or an option
            is unknown.
    """
    if streams not in ('fused', 'separate'):
        raise ForgetError(f"streams must be 'fused' or 'separate', not "
                          f'{streams!r}')
    if forget_queries not in ('all', 'matched'):
        raise ForgetError("forget_queries must be 'all' or 'matched', not "
                          f'{forget_queries!r}')
    if forget_queries == 'matched' and aux_loss:
        raise ForgetError("forget_queries='matched' looks at the last layer "
                          'only; set aux_loss=False')
    # mmdet's constructors write into their configs: without a copy, the same
    # config could not be built twice.
    cfg = copy.deepcopy(dict(detector))
    scope = cfg.pop('_scope_', 'mmdet')
    kind = cfg.pop('type')
    plain = kind if isinstance(kind, type) else MODELS.get(
        kind if '.' in kind else f'{scope}.{kind}')
    if plain is None:
        raise ForgetError(f'model.type {kind!r} is not registered in {scope}; '
                          'add its module to custom_imports')
    with DefaultScope.overwrite_default_scope(scope):
        model = _forgetting_class(plain)(**cfg)
    if not isinstance(model.bbox_head, DETRHead):
        raise ForgetError(
            f'the head of {kind} ({type(model.bbox_head).__name__}) is not '
            'derived from mmdet DETRHead')
    try:
        model.setup_forgetting(lora or {}, _build_method(method), group,
                               aux_loss, dropout, streams, forget_queries)
    except (TypeError, ValueError) as err:
        raise ForgetError(f'LoRA cannot be inserted: {err}') from err
    return model
