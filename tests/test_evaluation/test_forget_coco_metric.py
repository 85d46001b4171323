import contextlib
import io
import json
import math

import numpy as np
import pytest
from coco_toys import (CATEGORY_IDS, CLASSES, SETS, by_hand,
                       coco_json_detections, make_samples, make_truth,
                       run_metric, sample, write_truth)
from mmdet.evaluation import CocoMetric
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from gslora_mm.evaluation import ForgetCocoMetric, SubsetCOCOeval
from gslora_mm.registry import METRICS
from gslora_mm.utils import ForgetError


def close(value, truth):
    if truth is None or truth == -1:
        return value is None
    return value is not None and abs(value - truth) <= 1e-12


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('protocol', ['coco', 'paper'])
def test_equals_fresh_cocoeval_on_filtered_annotations(tmp_path, seed,
                                                       protocol):
    content = make_truth(seed)
    samples = make_samples(content, seed + 10)
    metric, flat = run_metric(write_truth(tmp_path, content), samples)
    measured = dict(metric.report['sets'], all=metric.report['all'])
    for name, names in dict(SETS, all=CLASSES).items():
        if not names:
            continue
        if protocol == 'paper' and name == 'absent':
            continue  # no image left: pycocotools cannot be asked
        truth = by_hand(content, samples, names, protocol == 'paper')
        report = measured[name][protocol]
        for key in ('AP', 'AP50'):
            assert close(report[key], truth[key]), (name, key)
            value = flat[f'{protocol}/{key}_{name}']
            assert math.isnan(value) if truth[key] == -1 else close(
                value, truth[key])
        assert report['per_class'].keys() == set(names)
        for cls, value in truth['per_class'].items():
            assert close(report['per_class'][cls], value), (name, cls)
        assert measured[name]['num_images'] == truth['num_images']


def test_case_is_not_trivial(tmp_path):
    content = make_truth()
    metric, _ = run_metric(
        write_truth(tmp_path, content), make_samples(content))
    report = metric.report['sets']['01_forget']
    assert 0.05 < report['coco']['AP'] < report['coco']['AP50'] < 1
    # False positives outside the set's images are free in 'paper'.
    assert report['paper']['AP'] > report['coco']['AP']
    assert len(set(report['coco']['per_class'].values())) == 2


def test_pycocotools_cannot_accumulate_subsets():
    """The reason for SubsetCOCOeval; if this fails, it may go."""
    content = make_truth()
    samples = make_samples(content)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = content
        truth.createIndex()
        found = truth.loadRes(coco_json_detections(samples))
        images = sorted(truth.getImgIds())[5:]
        part = COCOeval(truth, found, 'bbox')
        part.params.imgIds = list(images)
        part.evaluate()
        part.accumulate()
        whole = COCOeval(truth, found, 'bbox')
        whole.evaluate()
        whole.params.imgIds = list(images)
        whole.accumulate(whole.params)
        ours = SubsetCOCOeval(truth, found, CATEGORY_IDS, truth.getImgIds())
        ours.evaluate()
        table = ours.average_precision(CATEGORY_IDS, images)
    expected = part.eval['precision'][:, :, :, 0, 2]
    assert np.abs(whole.eval['precision'][:, :, :, 0, 2] - expected).max() > .1
    for k, cat_id in enumerate(part.params.catIds):
        assert close(table[cat_id][0], expected[:, :, k].mean())


def test_one_matching_pass_serves_all_sets(tmp_path, monkeypatch):
    calls = []
    evaluate = COCOeval.evaluate

    def counted(self):
        calls.append(self)
        evaluate(self)

    monkeypatch.setattr(COCOeval, 'evaluate', counted)
    content = make_truth()
    path, samples = write_truth(tmp_path, content), make_samples(content)
    metric, _ = run_metric(path, samples)
    assert len(calls) == 1
    for name, names in SETS.items():
        alone, _ = run_metric(path, samples, {name: names})
        assert alone.report['sets'][name] == metric.report['sets'][name]
        assert alone.report['all'] == metric.report['all']


def test_agrees_with_plain_mmdet(tmp_path):
    content = make_truth()
    path, samples = write_truth(tmp_path, content), make_samples(content)
    plain = CocoMetric(ann_file=path)
    plain.dataset_meta = dict(classes=CLASSES)
    plain.process({}, samples)
    expected = plain.evaluate(len(samples))
    _, flat = run_metric(path, samples)
    assert round(flat['coco/AP_all'], 3) == expected['coco/bbox_mAP']
    assert round(flat['coco/AP50_all'], 3) == expected['coco/bbox_mAP_50']


def test_report_is_json_and_keys_are_complete(tmp_path):
    content = make_truth()
    metric, flat = run_metric(
        write_truth(tmp_path, content), make_samples(content))
    report = json.loads(json.dumps(metric.report, allow_nan=False))
    assert report == metric.report
    assert set(flat) == {
        f'{p}/{k}_{s}'
        for p in ('coco', 'paper')
        for k in ('AP', 'AP50')
        for s in ('all', *SETS)
    }
    assert all(type(v) is float for v in flat.values())
    for name in ('crowd', 'absent', 'empty'):
        assert report['sets'][name]['coco']['AP'] is None
        assert report['sets'][name]['paper']['AP50'] is None
    assert report['sets']['crowd']['num_images'] == 1
    assert report['sets']['crowd']['coco']['per_class'] == {'eel': None}
    assert report['sets']['empty']['num_images'] == 0


def test_without_any_detection(tmp_path):
    content = make_truth()
    path = write_truth(tmp_path, content)
    nothing = [sample(image['id']) for image in content['images']]
    for samples in (nothing, []):
        metric, flat = run_metric(path, samples)
        for protocol in ('coco', 'paper'):
            for name in ('all', '01_forget', '01_retain', '02_forget'):
                assert flat[f'{protocol}/AP_{name}'] == 0.
                assert flat[f'{protocol}/AP50_{name}'] == 0.
            assert math.isnan(flat[f'{protocol}/AP_absent'])
        assert metric.report['all']['coco']['per_class']['fox'] is None


def test_perfect_detections(tmp_path):
    content = make_truth()
    samples = [
        sample(
            image['id'],
            *zip(*(((a['bbox'][0], a['bbox'][1], a['bbox'][0] + a['bbox'][2],
                     a['bbox'][1] + a['bbox'][3]), .9,
                    CATEGORY_IDS.index(a['category_id']))
                   for a in content['annotations']
                   if a['image_id'] == image['id'] and not a['iscrowd'])))
        for image in content['images']
    ]
    _, flat = run_metric(write_truth(tmp_path, content), samples)
    assert flat['coco/AP_all'] == pytest.approx(1., abs=1e-12)
    assert flat['paper/AP_01_forget'] == pytest.approx(1., abs=1e-12)


def test_annotation_id_zero_and_lean_annotations(tmp_path):
    content = make_truth()
    samples = make_samples(content)
    _, expected = run_metric(write_truth(tmp_path, content), samples)
    for ann in content['annotations']:
        ann['id'] -= 1
        del ann['area']
        if not ann['iscrowd']:
            del ann['iscrowd']
    _, lean = run_metric(write_truth(tmp_path, content), samples)
    assert lean == pytest.approx(expected, abs=0, nan_ok=True)


def test_repeated_evaluation_and_kept_detections(tmp_path):
    content = make_truth()
    samples = make_samples(content)
    path = write_truth(tmp_path, content)
    metric, first = run_metric(
        path, samples, outfile_prefix=str(tmp_path / 'kept'))
    metric.process({}, [sample(i['id']) for i in content['images']])
    assert metric.evaluate(len(samples))['coco/AP_all'] == 0.
    metric.process({}, samples)
    assert metric.evaluate(len(samples)) == pytest.approx(
        first, abs=0, nan_ok=True)
    kept = json.loads((tmp_path / 'kept.bbox.json').read_text())
    by_mmdet = coco_json_detections(samples)
    assert [{k: ann[k] for k in by_mmdet[0]} for ann in kept] == by_mmdet


def test_truth_from_data_samples(tmp_path):
    content = make_truth()
    samples = make_samples(content)
    _, expected = run_metric(write_truth(tmp_path, content), samples)
    for item in samples:
        item['instances'] = []
        for ann in content['annotations']:
            x, y, w, h = ann['bbox']
            if ann['image_id'] == item['img_id']:
                item['instances'].append(
                    dict(
                        bbox=[x, y, x + w, y + h],
                        bbox_label=CATEGORY_IDS.index(ann['category_id']),
                        ignore_flag=ann['iscrowd']))
    _, flat = run_metric(None, samples)
    assert flat == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_is_quiet_and_registered(tmp_path, capsys):
    content = make_truth()
    metric = METRICS.build(
        dict(
            type='gslora_mm.ForgetCocoMetric',
            ann_file=write_truth(tmp_path, content)))
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, make_samples(content))
    flat = metric.evaluate(len(content['images']))
    assert set(flat) == {
        'coco/AP_all', 'coco/AP50_all', 'paper/AP_all', 'paper/AP50_all'
    }
    assert capsys.readouterr().out == ''


def test_bad_input(tmp_path):
    content = make_truth()
    path = write_truth(tmp_path, content)
    metric = ForgetCocoMetric(ann_file=path, class_sets=dict(x=['cat', 'dgo']))
    with pytest.raises(ForgetError, match="'x'.*'dgo'.*'dog'"):
        metric.dataset_meta = dict(classes=CLASSES)
    for sets in (dict(all=['cat']), dict(x='cat')):
        with pytest.raises(ForgetError, match='list of class names'):
            ForgetCocoMetric(ann_file=path, class_sets=sets)
    for bad in (dict(metric='segm'), dict(iou_thrs=[.5]),
                dict(format_only=True, outfile_prefix='x')):
        with pytest.raises(ForgetError, match='0.50:0.95'):
            ForgetCocoMetric(ann_file=path, **bad)
    for classes in (CLASSES[::-1], CLASSES + ('gnu', )):
        with pytest.raises(ForgetError, match='order'):
            ForgetCocoMetric(ann_file=path).dataset_meta = dict(
                classes=classes)
    with pytest.raises(ForgetError, match='image 7 '):
        run_metric(path, [sample(7)])
    with pytest.raises(ForgetError, match='class number 6'):
        run_metric(path, [sample(101, [[0, 0, 9, 9]], [.5], [6])])


def test_bad_annotation_file(tmp_path):
    with pytest.raises(ForgetError, match='nowhere.json.*No such file'):
        ForgetCocoMetric(ann_file=str(tmp_path / 'nowhere.json'))
    path = tmp_path / 'cut.json'
    path.write_text(json.dumps(make_truth())[:500])
    with pytest.raises(ForgetError, match='cut.json is truncated'):
        ForgetCocoMetric(ann_file=str(path))
