"""The published class orders and the splits made from them.

Source: the published GS-LoRA code. Classes are forgotten from the tail of a
shuffled list: of the 80 COCO category ids, ascending, with numpy's legacy
generator (seed 123); of the places of 100 classes (faces, ImageNet-100) in
the order of their sorted folders, with Python's generator (seed 1337).
"""
import random
import re

import numpy as np
from mmdet.datasets import CocoDataset

from ..utils.errors import ForgetError

_UNUSED_IDS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
COCO_CATEGORY_IDS = tuple(i for i in range(1, 91) if i not in _UNUSED_IDS)

_COCO_SEED = 123
_CLASS100_SEED = 1337
_KNOWN = ("'coco-7x10', 'coco-80-<k>' with k from 1 to 79, 'class100-4x20', "
          "'class100-<k>' with k from 1 to 99")


def published_coco_order():
    """COCO category ids in the published order; the last are forgotten first.

    Returns:
        list[int]: The 80 category ids of COCO 2017.
    """
    order = list(COCO_CATEGORY_IDS)
    np.random.RandomState(_COCO_SEED).shuffle(order)
    return order


def coco_class_names_by_id():
    """Names of the COCO 2017 categories.

    Returns:
        dict[int, str]: Category id to the name that mmdet uses.
    """
    return dict(zip(COCO_CATEGORY_IDS, CocoDataset.METAINFO['classes']))


def published_class100_order():
    """Places of 100 classes in the published order, for faces and ImageNet.

    Returns:
        list[int]: Places in the sorted class folders; the last are forgotten
        first.
    """
    order = list(range(100))
    random.Random(_CLASS100_SEED).shuffle(order)
    return order


def published_requests(name, classes=None):
    """Class names of every request of a published split.

    Args:
        name (str): 'coco-7x10' (seven requests of ten classes),
            'coco-80-<k>' (one request of k classes, k from 1 to 79),
            'class100-4x20' (four requests of twenty classes, for any data
            set of 100 classes) or 'class100-<k>' (k from 1 to 99).
        classes (Sequence[str], optional): The 100 class names in the order
            of their sorted folders; the COCO splits do not need them.

    Returns:
        list[list[str]]: Class names of each request, in order.

    Raises:
        ForgetError: If there is no such split, or there are not 100 classes.
    """
    name = str(name)
    coco = re.fullmatch(r'coco-(7x10|80-([1-9]\d?))', name)
    if coco and int(coco[2] or 1) < 80:
        names = coco_class_names_by_id()
        order = [names[i] for i in published_coco_order()]
        return _from_the_tail(order, coco[2], 7, 10)
    class100 = re.fullmatch(r'class100-(4x20|([1-9]\d?))', name)
    if class100:
        order = _class100_order(name, classes)
        return _from_the_tail(order, class100[2], 4, 20)
    raise ForgetError(
        f'no published split is called {name!r}; known are {_KNOWN}, or list '
        'the class names of each request')


def published_unseen(name, classes=None):
    """Class names that training never shows, of the published setting.

    Args:
        name (str): 'class100-missing-<k>' or 'coco-missing-<k>': the first k
            classes of the order, which are forgotten last (published: 5 of
            100 people; for COCO by the same rule).
        classes (Sequence[str], optional): See :func:`published_requests`.

    Returns:
        list[str]: The names.

    Raises:
        ForgetError: If there is no such choice, or there are not 100 classes.
    """
    found = re.fullmatch(r'(coco|class100)-missing-([1-9]\d?)', str(name))
    if not found or (found[1] == 'coco' and int(found[2]) > 79):
        raise ForgetError(
            f'no published choice of unseen classes is called {name!r}; known '
            "are 'class100-missing-<k>' and 'coco-missing-<k>', or list the "
            'class names')
    if found[1] == 'coco':
        names = coco_class_names_by_id()
        order = [names[i] for i in published_coco_order()]
    else:
        order = _class100_order(name, classes)
    return order[:int(found[2])]


def _class100_order(name, classes):
    """Names of 100 classes in the published order."""
    count = len(classes or ())
    if count != 100:
        raise ForgetError(
            f'the split {name!r} is made of 100 classes, not of {count}; '
            'list the class names of each request instead')
    return [classes[i] for i in published_class100_order()]


def _from_the_tail(order, single, num, size):
    """``num`` requests of ``size`` classes, or one of ``single`` classes."""
    if single:
        return [order[-int(single):]]
    ends = [len(order) - i * size for i in range(num)]
    return [order[end - size:end] for end in ends]
