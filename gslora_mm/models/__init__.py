from .classifier_forgetting import ClassifierForgettingMixin
from .cosface_head import CosFaceClsHead
from .detr_forgetting import DetrForgettingMixin, matched_classification
from .forgetting_classifier import forgetting_classifier
from .forgetting_detector import forgetting_detector
from .forgetting_mixin import ForgettingMixin
from .stream_loss import STREAMS, StreamFeatures, StreamLoss, StreamOutputs
from .trainable import check_train

__all__ = [
    'ClassifierForgettingMixin', 'CosFaceClsHead', 'DetrForgettingMixin',
    'ForgettingMixin', 'STREAMS', 'StreamFeatures', 'StreamLoss',
    'StreamOutputs', 'check_train', 'forgetting_classifier',
    'forgetting_detector', 'matched_classification'
]
