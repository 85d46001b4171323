"""A random COCO set, random detections, and AP by plain pycocotools."""
import contextlib
import copy
import io
import json

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from gslora_mm.evaluation import ForgetCocoMetric

# 'fox' has no annotation at all, 'eel' only a crowd.
CLASSES = ('ant', 'bee', 'cat', 'dog', 'eel', 'fox')
# Neither sorted nor from 1: labels, categories and sorted categories differ.
CATEGORY_IDS = (21, 3, 90, 8, 13, 5)
SETS = {
    '01_forget': ['cat', 'ant'],
    '01_retain': ['bee', 'dog', 'eel', 'fox'],
    '02_forget': ['dog'],
    'crowd': ['eel'],
    'absent': ['fox'],
    'empty': []
}


def make_truth(seed=0, images=14):
    """dict: A COCO file's content; unsorted image ids, some without boxes."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.arange(100, 100 + images)).tolist()
    content = dict(
        images=[
            dict(id=i, file_name=f'{i}.jpg', width=200, height=160)
            for i in ids
        ],
        annotations=[],
        categories=[dict(id=i, name=n) for i, n in zip(CATEGORY_IDS, CLASSES)])
    # The first images in order of id lack 'cat' and 'ant': a subset that is
    # no beginning of the list.
    for image in ids:
        allowed = (1, 3) if image < 104 else (0, 1, 2, 3)
        for _ in range(rng.integers(0, 6)):
            _annotate(content, rng, image, int(rng.choice(allowed)), 0)
    _annotate(content, rng, 101, 2, 1)
    _annotate(content, rng, 108, 2, 1)
    _annotate(content, rng, 105, 4, 1)
    return content


def _annotate(content, rng, image, label, crowd):
    x, y, w, h = (rng.random(4) * (100, 80, 80, 60) + (0, 0, 8, 8)).tolist()
    content['annotations'].append(
        dict(
            id=len(content['annotations']) + 1,
            image_id=image,
            category_id=CATEGORY_IDS[label],
            bbox=[x, y, w, h],
            area=w * h,
            iscrowd=crowd))


def make_samples(content, seed=1, noise=5.):
    """list[dict]: Detections as mmdet hands them to a metric."""
    rng = np.random.default_rng(seed)
    samples = []
    for image in content['images']:
        boxes, labels = [], []
        for ann in content['annotations']:
            if ann['image_id'] != image['id'] or rng.random() < .15:
                continue
            x, y, w, h = ann['bbox']
            for _ in range(2):
                boxes.append(
                    np.array([x, y, x + w, y + h]) + rng.normal(0, noise, 4))
                labels.append(CATEGORY_IDS.index(ann['category_id']))
        for _ in range(6):
            corner = rng.random(2) * 100
            boxes.append(np.r_[corner, corner + 10 + rng.random(2) * 60])
            labels.append(rng.integers(len(CLASSES)))
        # Few score values: ties must be broken alike.
        scores = rng.integers(1, 12, len(labels)) / 12
        samples.append(sample(image['id'], boxes, scores, labels))
    return samples


def sample(image_id, boxes=(), scores=(), labels=()):
    boxes = torch.tensor(np.array(boxes), dtype=torch.float32).reshape(-1, 4)
    return dict(
        img_id=image_id,
        ori_shape=(160, 200),
        pred_instances=dict(
            bboxes=boxes,
            scores=torch.tensor(np.array(scores), dtype=torch.float32),
            labels=torch.tensor(np.array(labels), dtype=torch.long)))


def write_truth(folder, content):
    path = folder / 'ann.json'
    path.write_text(json.dumps(content))
    return str(path)


def run_metric(ann_file, samples, class_sets=SETS, **kwargs):
    """tuple[ForgetCocoMetric, dict]: The metric and what it returned."""
    metric = ForgetCocoMetric(
        ann_file=ann_file, class_sets=class_sets, **kwargs)
    metric.dataset_meta = dict(classes=CLASSES)
    for start in range(0, len(samples), 4):
        metric.process({}, samples[start:start + 4])
    return metric, metric.evaluate(len(samples))


def coco_json_detections(samples, images=None):
    """Detections as a COCO results list, one box at a time."""
    found = []
    for item in samples:
        if images is not None and item['img_id'] not in images:
            continue
        pred = item['pred_instances']
        for box, score, label in zip(pred['bboxes'], pred['scores'],
                                     pred['labels']):
            x1, y1, x2, y2 = box.tolist()
            found.append(
                dict(
                    image_id=item['img_id'],
                    category_id=CATEGORY_IDS[int(label)],
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                    score=float(score)))
    return found


def by_hand(content, samples, names, only_their_images):
    """A fresh COCOeval on annotations filtered by hand.

    Returns:
        dict: ``AP``, ``AP50`` (pycocotools' own mean; -1 without truth),
        ``per_class`` and ``num_images``.
    """
    kept = copy.deepcopy(content)
    ids = [CATEGORY_IDS[CLASSES.index(n)] for n in names]
    kept['annotations'] = [
        a for a in kept['annotations'] if a['category_id'] in ids
    ]
    images = {a['image_id'] for a in kept['annotations']}
    if only_their_images:
        kept['images'] = [i for i in kept['images'] if i['id'] in images]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = kept
        truth.createIndex()
        found = coco_json_detections(samples,
                                     {i['id']
                                      for i in kept['images']})
        evaluation = COCOeval(truth, truth.loadRes(found), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval['precision'][:, :, :, 0, 2]
    order = evaluation.params.catIds
    per_class = {
        n: precision[:, :, order.index(i)]
        for n, i in zip(names, ids)
    }
    return dict(
        AP=evaluation.stats[0],
        AP50=evaluation.stats[1],
        per_class={
            n: p.mean() if (p > -1).all() else None
            for n, p in per_class.items()
        },
        num_images=len(images))
