"""Which images a stream could use."""
import logging
import os.path as osp
from collections import Counter

import numpy as np
from mmengine.logging import print_log

from ..utils.errors import ForgetError
from .data_checks import source_of


def find_candidates(dataset, labels, count_crowd, hidden=frozenset()):
    """Images with at least one annotation of a stream's classes.

    Args:
        dataset (BaseDataset): The whole, loaded data set, of mmdet
            (``instances``) or of mmpretrain (``gt_label``).
        labels (dict[str, frozenset[int]]): Labels of each stream.
        count_crowd (bool): Whether a crowd annotation counts.
        hidden (frozenset[int]): Labels whose images, crowds included, are no
            candidates.

    Returns:
        tuple: dict[str, dict[int, set[int]]], for each stream the classes of
        the stream in each candidate, by index; list of the ids, see
        :func:`name_images`, None where the data set gives none; and list of
        the paths of all images.
    """
    candidates = {stream: {} for stream in labels}
    img_ids, paths = [], []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        img_ids.append(info.get('img_id'))
        paths.append(info['img_path'])
        if hidden & labels_in(info):
            continue
        present = labels_in(info, count_crowd)
        for stream, of_stream in labels.items():
            if present & of_stream:
                candidates[stream][index] = present & of_stream
    return candidates, img_ids, paths


def name_images(dataset, img_ids, paths):
    """Names by which a subset file knows its images.

    Images of a classification data set have no ids; their place among the
    others would change with every image that is added. Their file names
    repeat from class folder to class folder, their paths do not.

    Args:
        dataset (BaseDataset): The data set.
        img_ids (list): Of every image, as the data set has them, or None.
        paths (list[str]): Path of every image.

    Returns:
        tuple[list, list[str]]: Id and file name of every image: of COCO data
        the image id and the base name, else twice the path below the folder
        of images. (A list may name an image twice; from the second time on,
        the id says which time it is.)
    """
    if None not in img_ids:
        return img_ids, [osp.basename(path) for path in paths]
    prefix = getattr(dataset, 'data_prefix', None) or {}
    folder = osp.join(prefix.get('img_path') or '', '')
    names = [path.removeprefix(folder) for path in paths]
    times, ids = Counter(), []
    for name in names:
        times[name] += 1
        ids.append(f'{name} ({times[name]})' if times[name] > 1 else name)
    return ids, names


def labels_in(info, count_crowd=True):
    """Labels that an image shows.

    Args:
        info (dict): What ``get_data_info`` returned.
        count_crowd (bool): Whether a crowd annotation counts.

    Returns:
        set[int]: The labels.
    """
    if 'instances' not in info:
        return {int(label) for label in np.atleast_1d(info['gt_label'])}
    return {
        instance['bbox_label']
        for instance in info['instances']
        if count_crowd or not instance.get('ignore_flag')
    }


def keep_labels(info, labels):
    """Drop the boxes of other classes; an image's one label stays.

    Args:
        info (dict): What ``get_data_info`` returned, changed in place.
        labels (Container[int]): Labels that stay.
    """
    if 'instances' in info:
        info['instances'] = [
            i for i in info['instances'] if i['bbox_label'] in labels
        ]


def missing_classes(dataset, labels, candidates, hidden=()):
    """Retained classes that no image of the data set shows.

    They are allowed (the published setting of missing classes) and logged.

    Args:
        dataset (BaseDetDataset): The whole data set.
        labels (dict[str, frozenset[int]]): Labels of each stream.
        candidates (dict): See :func:`find_candidates`.
        hidden (Sequence[str]): Names of the hidden classes.

    Returns:
        list[str]: Their names, in label order.

    Raises:
        ForgetError: If a class to forget, or every class that stays, is
            missing.
    """
    classes, ann_file = dataset.metainfo['classes'], source_of(dataset)
    left = (f' (not counting those that show {", ".join(hidden)})'
            if hidden else '')
    lacking = {}
    for stream, of_stream in labels.items():
        present = set().union(*candidates[stream].values())
        lacking[stream] = [classes[c] for c in sorted(of_stream - present)]
    if lacking['forget']:
        raise ForgetError(
            f'{ann_file} has no image of '
            f'{", ".join(lacking["forget"])}{left}, which the request '
            'forgets; add images of it or drop it from the request')
    if not candidates['retain']:
        raise ForgetError(f'{ann_file} has no image of any class that stays'
                          f'{left}; add images of them')
    if lacking['retain']:
        print_log(
            f'{ann_file} has no images of these retained classes: '
            f'{", ".join(lacking["retain"])}{left}',
            logger='current',
            level=logging.WARNING)
    return lacking['retain']
