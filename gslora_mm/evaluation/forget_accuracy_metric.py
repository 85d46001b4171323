"""Accuracy on any number of class sets from one inference pass."""
import math
import numbers

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from ..datasets.requests import check_class_names
from ..registry import METRICS
from ..utils.errors import ForgetError
from .accuracy_report import TOP, build_accuracy_report
from .measure import CLASSIFICATION
from .set_report import checked_sets, flatten_report


@METRICS.register_module()
class ForgetAccuracyMetric(BaseMetric):
    """Accuracy of a classifier on named class sets, from one pass.

    - ``top1``: the true class has the highest score, among *all* classes.
    - ``margin``: it still has after its logit was lowered by ``margin``. The
      accuracy that the published code of GS-LoRA prints for faces: its
      CosFace head knows the label at test time and subtracts the margin from
      it. Lower than ``top1``, and no property of the deployed model.

    The accuracy of a set is the share of hits among the images of its
    classes: each image counts once, as published. Of equal scores the first
    is the highest, as for mmpretrain's ``pred_label``. Nothing is rounded.

    ``report`` holds the last result as JSON-ready data, on the main process
    (None elsewhere)::

        {'all': SET, 'sets': {name: SET}}
        SET = {'classes': [...], 'num_images': int,
               'top1': VALUES, 'margin': VALUES}
        VALUES = {'Acc': float, 'Acc5': float,
                  'per_class': {class: Acc}, 'per_class_Acc5': {...}}

    ``margin`` is there only with the argument, ``Acc5`` (among the five
    highest, with a score above 0 as in mmpretrain) only with more than five
    classes. A class or set without images is None in the report and NaN in
    the returned metrics.

    Args:
        class_sets (dict[str, list[str]], optional): Class names of each set.
            The set ``all`` is always there. Defaults to None.
        margin (float, optional): What the margin head takes from the true
            logit, scale times margin: ``64 * 0.35 = 22.4`` for the published
            CosFace. Defaults to None, no such protocol.
        **kwargs: As in mmengine's ``BaseMetric``.

    Raises:
        ForgetError: If a class is unknown to the data set, an option is no
            use, or a sample lacks what is needed.
    """
    # The protocol takes the prefix's place in the names.
    default_prefix = ''

    def __init__(self, class_sets=None, margin=None, **kwargs):
        super().__init__(**kwargs)
        if margin is not None and not (_is_number(margin)
                                       and 0 <= margin < math.inf):
            raise ForgetError(
                f'margin={margin!r} of ForgetAccuracyMetric; give scale * '
                'margin of the head, e.g. 22.4, or None')
        self.margin = margin
        self.class_sets = checked_sets(class_sets or {},
                                       'ForgetAccuracyMetric')
        self.report = None

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta):
        """Check the classes before the inference pass, on every rank."""
        classes = (dataset_meta or {}).get('classes')
        if not classes:
            raise ForgetError('the validation data set of '
                              'ForgetAccuracyMetric names no classes; set '
                              'its metainfo.classes')
        for name, members in self.class_sets.items():
            check_class_names(members, classes, f'class set {name!r}')
        self._dataset_meta = dataset_meta

    def process(self, data_batch, data_samples):
        """Keep a few flags of each sample, not its scores.

        Args:
            data_batch: Not used.
            data_samples (Sequence[dict]): ``pred_score`` (C,), class
                probabilities, and ``gt_label`` (1,) of each image.
        """
        if not data_samples:
            return
        classes = len(self.dataset_meta['classes'])
        truth = torch.tensor([_label(s, classes) for s in data_samples])
        scores = torch.stack([_scores(s, classes) for s in data_samples])
        # Logits up to a constant, which no ranking sees.
        logits = scores.double().log()
        flags = [truth, *_hits(logits, truth)]
        if self.margin is not None:
            self._check_precision(scores.dtype)
            flags += _hits(_lowered(logits, truth, self.margin), truth)
        self.results += zip(*(flag.tolist() for flag in flags))

    def _check_precision(self, dtype):
        # Beyond this gap other classes have a probability of 0, and whether
        # the lowered logit is still above theirs cannot be told.
        gap = -math.log(torch.finfo(dtype).tiny)
        if self.margin > gap:
            raise ForgetError(
                f'margin={self.margin} of ForgetAccuracyMetric is more than '
                f'scores in {str(dtype)[6:]} resolve ({gap:.1f}); evaluate '
                'in float32 or give scale * margin of the head')

    def compute_metrics(self, results):
        """Compute every number from the collected results.

        Args:
            results (list[tuple]): Of each image the label, and for each
                protocol whether it is a hit and among the first five.

        Returns:
            dict[str, float]: ``{protocol}/Acc_{set}`` and
            ``{protocol}/Acc5_{set}``, in [0, 1] or NaN.
        """
        protocols = CLASSIFICATION.protocols[:1 + (self.margin is not None)]
        table = np.array(results, int).reshape(-1, 1 + 2 * len(protocols))
        self.report = build_accuracy_report(table,
                                            self.dataset_meta['classes'],
                                            self.class_sets, protocols)
        return flatten_report(self.report)


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _name(sample):
    return sample.get('img_path') or f'number {sample.get("sample_idx", "?")}'


def _label(sample, classes):
    """The one label of a sample, checked."""
    label = sample.get('gt_label')
    if label is None:
        raise ForgetError(
            f'image {_name(sample)} has no gt_label; ForgetAccuracyMetric '
            'needs labelled validation images')
    label = torch.as_tensor(label)
    if label.numel() != 1:
        raise ForgetError(
            f'image {_name(sample)} has {label.numel()} labels; '
            'ForgetAccuracyMetric measures single-label data only')
    label = int(label)
    if not 0 <= label < classes:
        raise ForgetError(
            f'image {_name(sample)} has the label {label}, but the data set '
            f'has {classes} classes; correct the annotations or '
            'metainfo.classes')
    return label


def _scores(sample, classes):
    """The scores of a sample, checked, on the CPU."""
    scores = sample.get('pred_score')
    if scores is None:
        raise ForgetError(f'the model gives image {_name(sample)} no '
                          'pred_score; ForgetAccuracyMetric needs a '
                          'classifier with a softmax head')
    scores = torch.as_tensor(scores).cpu()
    if scores.shape != (classes, ):
        raise ForgetError(
            f'the model scores {scores.numel()} classes, but the data set '
            f'has {classes}; correct num_classes of the head or '
            'metainfo.classes')
    if not scores.isfinite().all():
        raise ForgetError(
            f'the scores of image {_name(sample)} are not finite: the '
            'weights of the model are damaged; take another checkpoint')
    if (scores < 0).any():
        raise ForgetError(
            f'the scores of image {_name(sample)} are no probabilities; '
            'ForgetAccuracyMetric needs a classifier with a softmax head')
    return scores


def _hits(logits, truth):
    """Whether the true class is first, and among the first five.

    Args:
        logits (Tensor): (N, C), up to a constant for each image.
        truth (Tensor): (N,), labels.

    Returns:
        tuple[Tensor, Tensor]: (N,) each, bool.
    """
    own = logits.gather(1, truth[:, None])
    earlier = torch.arange(logits.shape[1]) < truth[:, None]
    rank = ((logits > own) | ((logits == own) & earlier)).sum(1)
    # Underflowed probabilities have lost their order.
    known = own[:, 0] > -math.inf
    return (rank == 0) & known, (rank < TOP) & known


def _lowered(logits, truth, margin):
    return logits.scatter_add(1, truth[:, None],
                              logits.new_full((len(truth), 1), -margin))
