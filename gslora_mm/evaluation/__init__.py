from .forget_coco_metric import ForgetCocoMetric
from .h_mean import h_mean
from .request_table import (class_sets_for_requests, request_metrics,
                            to_csv_rows)
from .subset_coco_eval import SubsetCOCOeval
from .table_format import format_table

__all__ = [
    'ForgetCocoMetric', 'SubsetCOCOeval', 'class_sets_for_requests',
    'format_table', 'h_mean', 'request_metrics', 'to_csv_rows'
]
