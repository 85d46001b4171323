"""AP of any number of class sets from one inference pass."""
import io
import tempfile
from contextlib import redirect_stdout

import numpy as np
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric
from mmengine.fileio import dump

from ..datasets.coco_form import check_coco_form
from ..datasets.requests import check_class_names
from ..registry import METRICS
from ..utils.errors import ForgetError
from ..utils.shown import shown
from .set_report import build_report, checked_sets, flatten_report
from .subset_coco_eval import SubsetCOCOeval


@METRICS.register_module()
class ForgetCocoMetric(CocoMetric):
    """Box AP of named class sets, in two protocols, from one pass.

    - ``coco``: AP of a class over all images.
    - ``paper``: AP of a class over the images with at least one annotation
      (crowds count) of the set, as in the published code of GS-LoRA: false
      positives elsewhere are free, and each set has images of its own.

    The value of a set is the mean over those of its classes that have ground
    truth; crowds are ignore regions, not ground truth. Nothing is rounded.
    Every image of the annotation file counts, seen or not, as in mmdet,
    unless ``only_seen``.

    ``report`` holds the last result as JSON-ready data, on the main process
    (None elsewhere)::

        {'all': SET, 'sets': {name: SET}}
        SET = {'classes': [...], 'num_images': int,
               'coco': VALUES, 'paper': VALUES}
        VALUES = {'AP': float, 'AP50': float,
                  'per_class': {class: AP}, 'per_class_AP50': {...}}

    ``num_images`` is that of the ``paper`` protocol. A class without ground
    truth, and a set without such a class, e.g. an empty one, is None in the
    report and NaN in the returned metrics.

    Args:
        ann_file (str, optional): COCO annotation file. Defaults to None: the
            ground truth of the data samples.
        class_sets (dict[str, list[str]], optional): Class names of each set.
            The set ``all`` is always there. Defaults to None.
        metric (str | list[str]): Only 'bbox'. Defaults to 'bbox'.
        only_seen (bool): Whether images of the file that nobody was shown
            are left out: of a data set that holds a part of it. Defaults to
            False.
        **kwargs: As in mmdet's ``CocoMetric``. IoU thresholds, areas and
            number of detections (100) are fixed; ``outfile_prefix`` keeps
            the detections as ``{prefix}.bbox.json``.

    Raises:
        ForgetError: If the annotation file cannot be read, a class is
            unknown to the data set, or an option cannot be honoured.
    """
    # The protocol takes the prefix's place in the names.
    default_prefix = ''

    def __init__(self,
                 ann_file=None,
                 class_sets=None,
                 metric='bbox',
                 only_seen=False,
                 **kwargs):
        try:
            with redirect_stdout(io.StringIO()):
                super().__init__(ann_file=ann_file, metric=metric, **kwargs)
        except OSError as err:
            raise ForgetError(f'cannot read the annotation file {ann_file}: '
                              f'{err.strerror}; correct ann_file') from err
        except (ValueError, RecursionError) as err:
            raise ForgetError(
                f'the annotation file {ann_file} is truncated or no JSON '
                f'({err}); copy or download it again') from err
        except (KeyError, TypeError, AttributeError, IndexError) as err:
            raise ForgetError(f'the annotation file {ann_file} is not valid '
                              f'COCO ({type(err).__name__}: {shown(err)}); '
                              'repair it') from err
        if self._coco_api is not None:
            check_coco_form(self._coco_api.dataset, ann_file)
        if (self.metrics != ['bbox'] or self.format_only
                or kwargs.get('iou_thrs') is not None):
            raise ForgetError(
                "ForgetCocoMetric measures metric='bbox' at IoU 0.50:0.95 "
                'only; remove metric, iou_thrs and format_only')
        self.class_sets = checked_sets(class_sets or {}, 'ForgetCocoMetric')
        self.only_seen, self.report = only_seen, None

    @CocoMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta):
        """Check the classes before the inference pass, on every rank."""
        classes = dataset_meta['classes']
        for name, members in self.class_sets.items():
            check_class_names(members, classes, f'class set {name!r}')
        if self._coco_api is not None:
            self._check_categories(classes)
        self._dataset_meta = dataset_meta

    def compute_metrics(self, results):
        """Compute every number from the collected results.

        Args:
            results (list[tuple[dict, dict]]): Ground truth and detections of
                each image, as :meth:`process` left them.

        Returns:
            dict[str, float]: ``{protocol}/AP_{set}`` and
            ``{protocol}/AP50_{set}``, in [0, 1] or NaN.
        """
        with redirect_stdout(io.StringIO()):
            self._init_truth([truth for truth, _ in results])
            evaluation = SubsetCOCOeval(
                self._coco_api,
                self._detections([found for _, found in results]),
                self.cat_ids, self.img_ids)
            evaluation.evaluate()
            self.report = build_report(evaluation, self._coco_api,
                                       self.dataset_meta['classes'],
                                       self.cat_ids, self.class_sets)
        return flatten_report(self.report)

    def _check_categories(self, classes):
        # mmdet numbers labels by the categories of the file.
        names = [
            c['name'] for c in self._coco_api.dataset['categories']
            if c['name'] in classes
        ]
        if names != list(classes):
            raise ForgetError(
                'the categories of the annotation file of ForgetCocoMetric '
                f'({len(names)} of {len(classes)} classes) are not the '
                "data set's classes in their order, so labels would name "
                'other classes; use the annotation file of the data set')

    def _init_truth(self, truths):
        if self.cat_ids is not None:
            return
        if self._coco_api is None:
            with tempfile.TemporaryDirectory() as folder:
                self._coco_api = COCO(
                    self.gt_to_coco_json(truths, f'{folder}/truth'))
        # pycocotools takes a match with the annotation id 0 for none, and
        # needs keys that others leave out.
        annotations = self._coco_api.dataset.get('annotations', [])
        for index, ann in enumerate(annotations, 1):
            ann['id'] = index
            ann.setdefault('iscrowd', 0)
            ann.setdefault('area', ann['bbox'][2] * ann['bbox'][3])
        self._coco_api.createIndex()
        self.img_ids = self._coco_api.get_img_ids()
        if self.only_seen:
            seen = {truth['img_id'] for truth in truths}
            self.img_ids = [i for i in self.img_ids if i in seen]
        self.cat_ids = self._coco_api.get_cat_ids(
            cat_names=self.dataset_meta['classes'])

    def _detections(self, results):
        """Detections as a COCO object; ``loadRes`` fails without any."""
        known, annotations = set(self.img_ids), []
        for result in results:
            if result['img_id'] not in known:
                raise ForgetError(
                    f'image {result["img_id"]} is not in the annotation file '
                    'of ForgetCocoMetric; use that of the data set')
            annotations += self._boxes(result)
        for index, ann in enumerate(annotations, 1):
            ann['id'] = index
        if self.outfile_prefix is not None:
            dump(annotations, f'{self.outfile_prefix}.bbox.json')
        detections = COCO()
        detections.dataset = dict(annotations=annotations)
        detections.createIndex()
        return detections

    def _boxes(self, result):
        boxes = np.asarray(result['bboxes'], dtype=float).reshape(-1, 4)
        # From corners to corner and size, in double as mmdet does.
        boxes[:, 2:] -= boxes[:, :2]
        labels = result['labels'].tolist()
        if labels and max(labels) >= len(self.cat_ids):
            raise ForgetError(
                f'the model detects a class number {max(labels)}, but the '
                f'data set has {len(self.cat_ids)} classes; correct '
                'num_classes or metainfo.classes')
        return [
            dict(
                image_id=result['img_id'],
                category_id=self.cat_ids[label],
                bbox=box,
                area=box[2] * box[3],
                score=score,
                iscrowd=0) for box, score, label in zip(
                    boxes.tolist(), result['scores'].tolist(), labels)
        ]
