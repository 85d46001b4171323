"""Forgetting wrapper for mmdet's DETR family."""
from functools import lru_cache

from mmdet.models.dense_heads import DETRHead
from mmdet.models.detectors.base_detr import DetectionTransformer
from mmengine.registry import DefaultScope

from ..datasets.painting import Painter
from ..registry import MODELS
from ..utils import ForgetError
from .building import plain_class, set_up
from .detr_forgetting import DetrForgettingMixin


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
                        train='lora',
                        forget_queries='all',
                        forgotten=(),
                        painting=None):
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
        train (str | dict): What trains: ``'lora'`` (default), or parameters of
            the detector itself, see :func:`~gslora_mm.models.check_train`.
        forget_queries (str): ``'all'`` raises the classification loss of all
            queries of the forget images, background included, as published;
            ``'matched'`` only that of the queries matched to forgotten
            objects (see :func:`~gslora_mm.models.matched_classification`),
            for data where forgotten and retained objects share most images.
        forgotten (Sequence[int]): Labels of all classes forgotten so far,
            those of this request included. The engine fills them in.
        painting (dict, optional): Arguments of
            :class:`~gslora_mm.datasets.Painter`, for a teacher that finds
            what nobody labelled. The engine fills them in.

    Returns:
        DetectionTransformer: The detector, all frozen but what trains.

    Raises:
        ForgetError: If the detector is not of the DETR family or an option
            is unknown.
    """
    if forget_queries not in ('all', 'matched'):
        raise ForgetError("forget_queries must be 'all' or 'matched', not "
                          f'{forget_queries!r}')
    if forget_queries == 'matched' and aux_loss:
        raise ForgetError("forget_queries='matched' looks at the last layer "
                          'only; set aux_loss=False')
    plain, cfg, scope = plain_class(detector, 'mmdet')
    with DefaultScope.overwrite_default_scope(scope):
        model = _forgetting_class(plain)(**cfg)
    if not isinstance(model.bbox_head, DETRHead):
        raise ForgetError(
            f'the head of {plain.__name__} '
            f'({type(model.bbox_head).__name__}) is not derived from mmdet '
            'DETRHead')
    # So that processes divide by the boxes of all; mmdet's default by theirs.
    model.bbox_head.sync_cls_avg_factor = True
    model.forgotten = [int(label) for label in forgotten]
    model.painter = Painter(**(painting or {}))
    model.plain_config = dict(detector, _scope_=scope)
    model.aux_loss, model.forget_queries = aux_loss, forget_queries
    set_up(model, lora, method, group, dropout, streams, train)
    return model
