"""Detectors of mmdet's DETR family on COCO-format data."""
import os.path as osp

from ...datasets import HeldOutCoco
from ...datasets.coco_checks import check_coco
from ...utils import ForgetError
from ..data_config import (annotation_file, dataset_class, plain_dataset,
                           type_name)
from .task import Task


class Detection(Task):
    """Detection: AP on COCO-format data."""

    head = 'bbox_head'
    has_boxes = True
    wrapper, wraps = 'gslora_mm.ForgettingDetector', 'detector'
    model_keys = ('aux_loss', 'dropout', 'streams', 'forget_queries')
    # As published: what a query is compared with.
    prototype_source = 'weight'
    example = 'configs/gslora/ddetr_shapes_forget.py'

    def check_split(self, key, data, kind, classes, may_lack):
        """Check annotations and images; see :meth:`Task.check_split`."""
        path = annotation_file(data)
        if not osp.isfile(path):
            raise ForgetError(
                f'annotations of {key} are missing: {osp.abspath(path)} does '
                f'not exist; put the data there or set --cfg-options '
                f'{key}.data_root=FOLDER {key}.ann_file=FILE; the generated '
                'data runs without any download: python tools/train.py '
                f'{self.example}')
        prefix = data.get('data_prefix') or {}
        if not isinstance(prefix, dict):
            raise ForgetError(
                f'{key}.data_prefix is {prefix!r}; of COCO data it must be a '
                f'section, as in --cfg-options {key}.data_prefix.img=FOLDER')
        folder = osp.join(data.get('data_root') or '', prefix.get('img', ''))
        check_coco(path, folder, classes)

    def prototype_pipeline(self, cfg, classes):
        """Boxes follow the image; see :meth:`Task.prototype_pipeline`.

        The pipelines of an evaluation load boxes behind the last change of
        the image, if at all: they are not for the network there.
        """
        steps = [
            step for step in super().prototype_pipeline(cfg, classes)
            if not type_name(step).endswith('LoadAnnotations')
        ]
        return [
            steps[0],
            dict(type='mmdet.LoadAnnotations', with_bbox=True), *steps[1:]
        ]

    def evaluator(self, cfg, class_sets):
        """AP of the class sets; see :meth:`Task.evaluator`."""
        data = cfg.val_dataloader.dataset
        return dict(
            type='gslora_mm.ForgetCocoMetric',
            ann_file=annotation_file(data),
            metric='bbox',
            only_seen=issubclass(
                dataset_class(plain_dataset(data)), HeldOutCoco),
            class_sets=class_sets)
