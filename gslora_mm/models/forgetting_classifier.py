"""Forgetting wrapper for mmpretrain's classifiers."""
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
                          per_sample=False):
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
        per_sample (bool): Bound the loss of every forget image by itself,
            instead of their mean, as published. Defaults to False.

    Returns:
        ImageClassifier: The classifier, LoRA initialised, all else frozen.

    Raises:
        ForgetError: If the classifier or its head cannot forget, or an
            option is unknown.
    """
    plain, cfg, scope = plain_class(classifier, 'mmpretrain')
    with DefaultScope.overwrite_default_scope(scope):
        model = _forgetting_class(plain)(**cfg)
    head = getattr(model, 'head', None)
    # Heads for several labels, tasks or none are not derived from it.
    if not isinstance(head, ClsHead):
        raise ForgetError(
            f'the head of {plain.__name__} ({type(head).__name__}) is not a '
            'single-label head derived from mmpretrain ClsHead')
    model.per_sample = per_sample
    set_up(model, lora, method, group, dropout, streams)
    return model
