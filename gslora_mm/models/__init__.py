from .detr_forgetting import DetrForgettingMixin, matched_classification
from .forgetting_detector import forgetting_detector
from .stream_loss import STREAMS, StreamLoss

__all__ = [
    'DetrForgettingMixin', 'STREAMS', 'StreamLoss', 'forgetting_detector',
    'matched_classification'
]
