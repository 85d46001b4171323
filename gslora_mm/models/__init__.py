from .forgetting_detector import DetrForgettingMixin, forgetting_detector
from .stream_loss import STREAMS, StreamLoss

__all__ = [
    'DetrForgettingMixin', 'STREAMS', 'StreamLoss', 'forgetting_detector'
]
