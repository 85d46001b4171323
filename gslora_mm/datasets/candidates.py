"""Which images a stream could use."""
import logging

from mmengine.logging import print_log

from ..utils.errors import ForgetError


def find_candidates(dataset, labels, count_crowd):
    """Images with at least one annotation of a stream's classes.

    Args:
        dataset (BaseDetDataset): The whole, loaded data set.
        labels (dict[str, frozenset[int]]): Labels of each stream.
        count_crowd (bool): Whether a crowd annotation counts.

    Returns:
        tuple: dict[str, dict[int, set[int]]], for each stream the classes of
        the stream in each candidate, by index; list of the ids and list of
        the paths of all images.
    """
    candidates = {stream: {} for stream in labels}
    img_ids, paths = [], []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        img_ids.append(info['img_id'])
        paths.append(info['img_path'])
        present = {
            instance['bbox_label']
            for instance in info['instances']
            if count_crowd or not instance.get('ignore_flag')
        }
        for stream, of_stream in labels.items():
            if present & of_stream:
                candidates[stream][index] = present & of_stream
    return candidates, img_ids, paths


def missing_classes(dataset, labels, candidates):
    """Retained classes that no image of the data set shows.

    They are allowed (the published setting of missing classes) and logged.

    Args:
        dataset (BaseDetDataset): The whole data set.
        labels (dict[str, frozenset[int]]): Labels of each stream.
        candidates (dict): See :func:`find_candidates`.

    Returns:
        list[str]: Their names, in label order.

    Raises:
        ForgetError: If a class to forget, or every class that stays, is
            missing.
    """
    classes, ann_file = dataset.metainfo['classes'], dataset.ann_file
    lacking = {}
    for stream, of_stream in labels.items():
        present = set().union(*candidates[stream].values())
        lacking[stream] = [classes[c] for c in sorted(of_stream - present)]
    if lacking['forget']:
        raise ForgetError(
            f'{ann_file} has no usable annotation of '
            f'{", ".join(lacking["forget"])}, which the request forgets; add '
            'images of it or drop it from the request')
    if not candidates['retain']:
        raise ForgetError(
            f'{ann_file} has no usable annotation of any class that stays; '
            'add images of them')
    if lacking['retain']:
        print_log(
            f'{ann_file} has no images of these retained classes: '
            f'{", ".join(lacking["retain"])}',
            logger='current',
            level=logging.WARNING)
    return lacking['retain']
