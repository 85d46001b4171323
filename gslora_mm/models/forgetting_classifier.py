"""Forgetting wrapper for mmpretrain's classifiers."""
import math
from functools import lru_cache

from mmengine.registry import DefaultScope
from mmpretrain.models import ClsHead, ImageClassifier

from ..registry import MODELS
from ..utils import ForgetError
from .building import plain_class, set_up
from .classifier_forgetting import ClassifierForgettingMixin


@lru_cache(maxsize=None)
def _forgetting_class(classifier_class):
    if not issubclass(classifier_class, ImageClassifier):
        raise ForgetError(
            f'{classifier_class.__name__} is not derived from mmpretrain '
            'ImageClassifier, which forgetting works on')
    return type(f'Forgetting{classifier_class.__name__}',
                (ClassifierForgettingMixin, classifier_class), {})


@MODELS.register_module(name='ForgettingClassifier')
def forgetting_classifier(classifier,
                          method,
                          lora=None,
                          group='block',
                          dropout=False,
                          streams='fused',
                          train='lora',
                          per_sample=False,
                          forget_margin=0.,
                          retain_margin=0.,
                          forgotten=()):
    """Build an mmpretrain classifier that forgets classes.

    The result is an instance of the configured classifier class with LoRA
    groups in its Transformer blocks. Keys of base weights are those of the
    plain classifier. Works on any ``ImageClassifier`` whose backbone has
    Transformer blocks with an FFN of two linears and whose head is a
    single-label ``ClsHead``.

    Args:
        classifier (dict): Config of the plain classifier.
        method (dict): Config of the forgetting method, e.g.
            ``dict(type='GSLoRA', beta=0.2)``.
        lora (dict, optional): Arguments of
            :func:`gslora_mm.lora.inject_lora`: ``rank``, ``alpha``,
            ``position``, ``include``, ``exclude``.
        group (str): ``'block'`` (default), ``'lora'`` or ``'matrix'``.
        dropout (bool): Keep the dropout of frozen layers on in training.
            Defaults to False.
        streams (str): ``'fused'`` runs both streams through the network in
            one forward; ``'separate'`` in one forward each. The losses are
            the same.
        train (str | dict): What trains: ``'lora'`` (default), or parameters of
            the classifier itself, see :func:`~gslora_mm.models.check_train`.
        per_sample (bool): Bound the loss of every forget image by itself,
            instead of their mean, as published: with the mean, one class
            with a large loss can hide others that are not forgotten.
            Defaults to False.
        forget_margin (float): Lower the true logit of the forget images by
            this in the loss, as margin heads do. The cross-entropy of a
            confident image is flat, so that a linear head starts to forget
            late or not at all; a margin above its usual lead over the other
            logits, about 10, gives it a gradient. Defaults to 0.
        retain_margin (float): Raise the logits of all classes forgotten so
            far by this on the retain images, so that those must lie far from
            them. It keeps the forgotten of earlier requests forgotten without
            an image of theirs: what the features still hold of them is led
            elsewhere. Defaults to 0.
        forgotten (Sequence[int]): Labels of all classes forgotten so far,
            those of this request included. The engine fills them in.

    Returns:
        ImageClassifier: The classifier, all frozen but what trains.

    Raises:
        ForgetError: If the classifier or its head cannot forget, an option
            is unknown, or the bound lies below the margin.
    """
    if not isinstance(per_sample, bool):
        raise ForgetError(
            f'per_sample must be True or False, not {per_sample!r}')
    for name, margin in (('forget_margin', forget_margin), ('retain_margin',
                                                            retain_margin)):
        if isinstance(margin, bool) or not isinstance(
                margin, (int, float)) or not 0 <= margin < math.inf:
            raise ForgetError(f'{name} must be a number >= 0, not {margin!r}')
    if retain_margin and not forgotten:
        raise ForgetError('retain_margin needs the labels of all forgotten '
                          'classes, forgotten=[...]')
    plain, cfg, scope = plain_class(classifier, 'mmpretrain')
    with DefaultScope.overwrite_default_scope(scope):
        model = _forgetting_class(plain)(**cfg)
    head = getattr(model, 'head', None)
    # Heads for several labels, tasks or none are not derived from it.
    if not isinstance(head, ClsHead):
        raise ForgetError(
            f'the head of {plain.__name__} ({type(head).__name__}) is not a '
            'single-label head derived from mmpretrain ClsHead')
    model.per_sample, model.forget_margin = per_sample, forget_margin
    model.retain_margin = retain_margin
    model.forgotten = [int(label) for label in forgotten]
    model.plain_config = dict(classifier, _scope_=scope)
    set_up(model, lora, method, group, dropout, streams, train)
    bound = getattr(model.method, 'bound', math.inf)
    if forget_margin and bound <= forget_margin:
        raise ForgetError(
            f'forget.method.bound={bound:g} is not above forget.model.'
            f'forget_margin={forget_margin:g}, which every loss holds: '
            'nothing would be forgotten; raise the bound or remove it')
    return model
