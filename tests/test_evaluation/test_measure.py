import dataclasses

import classifier_toys
import coco_toys
import pytest

from gslora_mm.evaluation import (CLASSIFICATION, DETECTION, measure_of,
                                  request_metrics)
from gslora_mm.utils import ForgetError


def detection_report(folder):
    content = coco_toys.make_truth()
    return coco_toys.run_metric(
        coco_toys.write_truth(folder, content),
        coco_toys.make_samples(content))[0].report


def accuracy_report(margin=None):
    samples = classifier_toys.make_samples(*classifier_toys.make_logits())
    return classifier_toys.run_metric(samples, margin=margin)[0].report


@pytest.mark.parametrize('margin', [None, 3.])
def test_reports_sets_and_rows_tell_what_they_are(tmp_path, margin):
    cases = ((DETECTION, detection_report(tmp_path), ('paper', 'coco')),
             (CLASSIFICATION, accuracy_report(margin),
              ('top1', 'margin') if margin else ('top1', )))
    for measure, report, protocols in cases:
        row = dict(
            request=1,
            classes=['x'],
            **request_metrics(report, report, report, 1))
        for content in (report, report['all'], row):
            assert measure_of(content) is measure
            assert measure.protocols_of(content) == protocols
        value = report['all'][measure.overall]
        for number, table in measure.details():
            assert number in value and table in value
        assert 0 < value[measure.score] < 1


def test_anything_else_is_refused():
    for content in ({}, dict(request=1), dict(all=dict(margin={}), sets={})):
        with pytest.raises(ForgetError, match='neither'):
            measure_of(content)


def test_measures_are_constants():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DETECTION.score = 'mAP'
