"""Random predictions of a classifier, as mmpretrain hands them out."""
import numpy as np
import torch
from mmpretrain.structures import DataSample

from gslora_mm.evaluation import ForgetAccuracyMetric

# 'ivy' has no image.
CLASSES = ('ash', 'box', 'elm', 'fig', 'fir', 'ivy', 'oak', 'yew')
SETS = {
    '01_forget': ['elm', 'ash'],
    '01_retain': ['box', 'fig', 'fir', 'ivy', 'oak', 'yew'],
    '02_forget': ['fir'],
    'absent': ['ivy'],
    'empty': []
}
MARGIN = 64 * .35


def make_logits(seed=0, images=120, noise=20.):
    """tuple[Tensor, Tensor]: float32 (N, C), labels (N,); few of 'ash'."""
    rng = np.random.default_rng(seed)
    share = np.array([1, 4, 3, 4, 4, 0, 2, 3])
    labels = rng.choice(len(CLASSES), images, p=share / share.sum())
    logits = rng.normal(0, noise, (images, len(CLASSES)))
    logits[range(images), labels] += 30
    return torch.tensor(logits, dtype=torch.float32), torch.tensor(labels)


def make_samples(logits, labels):
    """list[dict]: What mmengine's evaluator gives a metric."""
    scores = logits.softmax(1)
    chosen = scores.argmax(1, keepdim=True)
    return [
        DataSample(
            metainfo=dict(img_path=f'{i}.jpg', sample_idx=i)).set_gt_label(
                int(label)).set_pred_score(score).set_pred_label(
                    choice).to_dict()
        for i, (label, score,
                choice) in enumerate(zip(labels, scores, chosen))
    ]


def run_metric(samples, class_sets=SETS, classes=CLASSES, **kwargs):
    """tuple[ForgetAccuracyMetric, dict]: The metric, what it returned."""
    metric = ForgetAccuracyMetric(class_sets=class_sets, **kwargs)
    metric.dataset_meta = dict(classes=classes)
    for start in range(0, len(samples), 7):
        metric.process({}, samples[start:start + 7])
    return metric, metric.evaluate(len(samples))
