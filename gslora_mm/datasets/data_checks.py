"""Reading annotations and images with errors that name the file at fault."""
import json
import os
import os.path as osp

import mmcv
from mmdet.datasets import CocoDataset
from mmengine import fileio

from ..utils.errors import ForgetError
from ..utils.shown import shown
from .coco_form import check_coco_form


def full_init_checked(dataset):
    """``dataset.full_init()``, refusing annotations that would mislead.

    mmdet numbers labels by the order of the *annotation file* and drops
    unknown categories in silence. A file that disagrees with the class list
    would then make us forget another class than the one requested.

    Args:
        dataset (BaseDataset): Any dataset; a ``CocoDataset`` that is not
            loaded yet gets all checks.

    Raises:
        ForgetError: If the file is missing, damaged, or disagrees with the
            classes, or an annotation has no category or image.
    """
    if not isinstance(dataset, CocoDataset):
        dataset.full_init()
        return
    ann_file = dataset.ann_file
    if not getattr(dataset, '_fully_initialized', False):
        _load(dataset, ann_file)
    classes = dataset.metainfo['classes']
    if len(dataset.cat_ids) != len(classes):
        raise ForgetError(
            f'{ann_file} has {len(dataset.cat_ids)} of the {len(classes)} '
            'classes among its categories, which would shift the labels; add '
            'the others to its categories')


def check_on_disk(dataset, paths):
    """Check that image files exist: better now than in the third hour.

    Args:
        dataset (BaseDataset): The data set; remote storage is not asked.
        paths (Iterable[str]): Paths of the images.

    Raises:
        ForgetError: If one is not there.
    """
    if getattr(dataset, 'backend_args', None):
        return
    absent = not_on_disk(paths)
    if absent:
        raise ForgetError(
            f'{len(absent)} images of {source_of(dataset)} are not on disk, '
            f'first {shown(absent[0])}; correct data_root and data_prefix or '
            'add the files')


def not_on_disk(paths):
    """Find the files that are not there.

    Args:
        paths (Iterable[str]): Paths of files.

    Returns:
        list[str]: Those that do not exist, in order.
    """
    # One listing is far quicker than a look at each of a million files.
    listed, absent = {}, []
    for path in paths:
        folder, name = osp.split(path)
        if folder not in listed:
            listed[folder] = _names_in(folder)
        if name not in listed[folder]:
            absent.append(path)
    return absent


def _names_in(folder):
    try:
        with os.scandir(folder or '.') as entries:
            return {e.name for e in entries}
    except (FileNotFoundError, NotADirectoryError, ValueError):
        # No folder has a name with a null in it.
        return set()


def source_of(dataset):
    """str: The annotation file of a data set, or its folder of images."""
    if getattr(dataset, 'ann_file', None):
        return dataset.ann_file
    prefix = getattr(dataset, 'data_prefix', None) or {}
    return prefix.get('img_path') or 'the data set'


def check_packed(data, key):
    """Check what a pipeline returned.

    Args:
        data (dict): One sample.
        key (str): Where its data set stands in the config, e.g.
            ``'train_dataloader.dataset'``.

    Raises:
        ForgetError: If it is not packed.
    """
    if not isinstance(data, dict) or 'data_samples' not in data:
        raise ForgetError(
            f'the images of {key} come out of their pipeline unpacked; end '
            f'{key}.pipeline with dict(type="PackInputs"), for detectors '
            'with dict(type="PackDetInputs")')


def blame_image(dataset):
    """Name the image that broke a pass over a data set, if one did.

    Args:
        dataset (BaseDataset): The data set, loaded.

    Raises:
        ForgetError: Naming the first image that cannot be read.
    """
    for index in range(len(dataset)):
        path = dataset.get_data_info(index)['img_path']
        if not is_readable(path, getattr(dataset, 'backend_args', None)):
            raise ForgetError(
                f'cannot read the image {shown(path)}; replace the file or '
                f'remove the image from {source_of(dataset)}')


def is_readable(path, backend_args=None):
    """bool: Whether a file can be read and decoded as an image."""
    try:
        content = fileio.get(path, backend_args=backend_args)
        return mmcv.imfrombytes(content) is not None
    except Exception:  # every storage and decoder has errors of its own
        return False


def _load(dataset, ann_file):
    load_api = dataset.COCOAPI

    def load_and_check(path):
        coco = load_api(path)
        check_content(coco.dataset, dataset.metainfo['classes'], ann_file)
        return coco

    # An instance attribute, gone afterwards: nothing is parsed twice, and
    # the data set can still be pickled.
    dataset.COCOAPI = load_and_check
    try:
        dataset.full_init()
    except OSError as err:
        raise ForgetError(
            f'cannot read the annotation file {ann_file}: {err.strerror}; set '
            'ann_file and data_root to your data') from err
    except (ValueError, RecursionError) as err:
        raise ForgetError(
            f'the annotation file {ann_file} is truncated or no JSON ({err}); '
            'copy or download it again') from err
    except (KeyError, TypeError, AttributeError, AssertionError, IndexError,
            OverflowError) as err:
        raise ForgetError(f'the annotation file {ann_file} is not valid COCO '
                          f'({type(err).__name__}: {shown(err)}); repair '
                          'it') from err
    finally:
        del dataset.COCOAPI


def read_annotations(ann_file):
    """Read a COCO annotation file.

    Returns:
        dict: Its content.

    Raises:
        ForgetError: If it is damaged or no COCO detection file.
    """
    try:
        with open(ann_file, 'rb') as file:
            content = json.load(file)
    except (ValueError, RecursionError) as err:
        raise ForgetError(
            f'the annotation file {ann_file} is truncated or no JSON ({err}); '
            'copy or download it again') from err
    if not isinstance(content, dict) or any(
            not isinstance(content.get(k), list)
            for k in ('images', 'annotations', 'categories')):
        raise ForgetError(f'{ann_file} is not a COCO detection file: it needs '
                          'the lists images, annotations and categories')
    return content


def check_content(content, classes, ann_file):
    """Check the content of an annotation file against the class list.

    Raises:
        ForgetError: If categories and classes disagree, or an annotation
            has no category, no image or no box.
    """
    check_coco_form(content, ann_file)
    categories = content['categories']
    names = [c['name'] for c in categories if c['name'] in classes]
    lacking = [c for c in classes if c not in names]
    if lacking:
        raise ForgetError(
            f'{ann_file} has no category {lacking[0]!r} '
            f'({len(lacking)} of {len(classes)} classes are missing), which '
            'would shift the labels; add it to its categories or correct '
            'metainfo.classes')
    if names != list(classes):
        raise ForgetError(
            f'the categories of {ann_file} are in another order than the '
            f'classes (first {names[0]!r}, not {classes[0]!r}), so labels '
            'would name other classes; write metainfo.classes in the order '
            'of the file')
    category_ids = {c['id'] for c in categories}
    image_ids = {image['id'] for image in content['images']}
    for ann in content['annotations']:
        if ann['category_id'] not in category_ids:
            raise ForgetError(
                f'annotation {ann.get("id")} of {ann_file} has the unknown '
                f'category {ann["category_id"]}; add that to its categories '
                'or remove the annotation')
        if ann['image_id'] not in image_ids:
            raise ForgetError(
                f'annotation {ann.get("id")} of {ann_file} belongs to the '
                f'image {ann["image_id"]}, which is not among its images; '
                'remove the annotation or add the image')
