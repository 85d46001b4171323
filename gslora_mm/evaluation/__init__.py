from .forget_accuracy_metric import ForgetAccuracyMetric
from .forget_coco_metric import ForgetCocoMetric
from .gallery import enroll, gallery_report, rank1, tar_at_far
from .gallery_table import format_gallery, gallery_metrics
from .h_mean import h_mean
from .measure import CLASSIFICATION, DETECTION, Measure, measure_of
from .request_table import (class_sets_for_requests, request_metrics,
                            to_csv_rows)
from .subset_coco_eval import SubsetCOCOeval
from .table_format import format_table

__all__ = [
    'CLASSIFICATION', 'DETECTION', 'ForgetAccuracyMetric', 'ForgetCocoMetric',
    'Measure', 'SubsetCOCOeval', 'class_sets_for_requests', 'enroll',
    'format_gallery', 'format_table', 'gallery_metrics', 'gallery_report',
    'h_mean', 'measure_of', 'rank1', 'request_metrics', 'tar_at_far',
    'to_csv_rows'
]
