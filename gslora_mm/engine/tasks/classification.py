"""Classifiers of mmpretrain on folders of images."""
import copy
import os
import os.path as osp
from collections import Counter

import mmengine
from mmpretrain.datasets import CIFAR10, MNIST, CustomDataset

from ...datasets.folder_checks import check_folder_data
from ...models.building import plain_class
from ...utils import ForgetError
from ..data_config import plain_dataset
from .task import Task, checked_names


class Classification(Task):
    """Classification: accuracy on one folder of images per class."""

    head = 'head'
    wrapper, wraps = 'gslora_mm.ForgettingClassifier', 'classifier'
    has_embeddings = True
    model_keys = ('dropout', 'streams', 'per_sample', 'forget_margin',
                  'retain_margin')
    # As strong as in the published code, whose own is never applied:
    # torchvision counts 30 levels, mmpretrain 10 unless told.
    prototype_augment = [
        dict(
            type='mmpretrain.RandAugment',
            policies='timm_increasing',
            num_policies=2,
            magnitude_level=5,
            total_level=30)
    ]
    example = 'configs/gslora/vit_shapes_forget.py'

    def _named_classes(self, data, kind):
        named = self._listed_classes(data, kind)
        return named or _folder_names(data, kind)

    def _listed_classes(self, data, kind):
        """Class names that a data set config gives; empty if none."""
        listed = data.get('classes')
        if isinstance(listed, str):
            listed = mmengine.list_from_file(osp.expanduser(listed))
        named = checked_names(listed) or super()._named_classes(data, kind)
        return _distinct(named)

    def _namer(self, data, kind):
        if self._listed_classes(data, kind):
            return super()._namer(data, kind)
        return f'{_folder(data)} has folders of'

    def check_split(self, key, data, kind, classes, may_lack):
        """Check folders and lists; see :meth:`Task.check_split`."""
        if issubclass(kind, (CIFAR10, MNIST)):
            raise ForgetError(
                f'{key} of type {kind.__name__} has no image files; write its '
                'images into one folder per class and use CustomDataset')
        if not issubclass(kind, CustomDataset):
            return  # Other data sets find and check their files themselves.
        if self._listed_classes(data, kind) == tuple(classes):
            data = _with_classes(dict(data), classes)
        check_folder_data(data, classes, key, kind, may_lack)

    def plain_model(self, cfg):
        """The plain classifier; see :meth:`Task.plain_model`."""
        model = super().plain_model(cfg)
        # mmengine's runner would give it to the wrapper.
        if cfg.get('data_preprocessor'):
            model.setdefault('data_preprocessor',
                             copy.deepcopy(cfg.data_preprocessor))
        # Mixup and the like would blend images of both streams. They are all
        # there is in the train_cfg of a classifier.
        if 'train_cfg' in model:
            model['train_cfg'] = None
        if isinstance(model.get('data_preprocessor'), dict):
            model['data_preprocessor'].pop('batch_augments', None)
        return model

    def training_data(self, cfg, classes):
        """The training data with all class names spelt out."""
        return _with_classes(super().training_data(cfg, classes), classes)

    def evaluation_data(self, cfg, classes):
        """The validation loader with all class names spelt out."""
        loader = super().evaluation_data(cfg, classes)
        _with_classes(plain_dataset(loader['dataset']), classes)
        return loader

    def evaluator(self, cfg, class_sets):
        """Accuracy of the class sets; see :meth:`Task.evaluator`."""
        return dict(
            type='gslora_mm.ForgetAccuracyMetric',
            class_sets=class_sets,
            margin=_margin(cfg.model.head,
                           cfg.model.get('_scope_', 'mmpretrain')))


def _folder(data):
    """Where the class folders of a data set config are."""
    prefix = data.get('data_prefix') or ''
    if isinstance(prefix, dict):
        prefix = prefix.get('img_path', '')
    return osp.join(data.get('data_root') or '', osp.expanduser(prefix))


def _folder_names(data, kind):
    """Sub-folders of the training folder, as mmpretrain would find them."""
    folder = _folder(data)
    if data.get('ann_file') or not issubclass(kind, CustomDataset):
        return ()
    if not osp.isdir(folder):
        # Says that the folder is missing, rather than the names.
        check_folder_data(data, (), 'train_dataloader.dataset', kind)
        return ()
    return tuple(sorted(e.name for e in os.scandir(folder) if e.is_dir()))


def _distinct(names):
    """Names in which each is one class: ImageNet has two called crane."""
    counts = Counter(names)
    return tuple(f'{name} ({label})' if counts[name] > 1 else name
                 for label, name in enumerate(names))


def _with_classes(data, classes):
    # Both splits number labels alike, whatever folders they have.
    data.pop('classes', None)
    data['metainfo'] = dict(data.get('metainfo') or {}, classes=list(classes))
    return data


def _margin(head, scope):
    """What a margin head takes from the true logit; None without one."""
    kind, options, _ = plain_class(head, scope, 'model.head')
    rule = getattr(kind, 'logit_margin', None)
    return rule(**options) if rule else None
