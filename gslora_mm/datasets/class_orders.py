"""The published COCO class order and the splits made from it.

Source: GS-LoRA's COCO experiments. The 80 category ids, ascending, are
shuffled with numpy's legacy generator (seed 123) and forgotten from the
tail.
"""
import re

import numpy as np
from mmdet.datasets import CocoDataset

from ..utils.errors import ForgetError

_UNUSED_IDS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
COCO_CATEGORY_IDS = tuple(i for i in range(1, 91) if i not in _UNUSED_IDS)

_ORDER_SEED = 123
_KNOWN = "'coco-7x10', 'coco-80-<k>' with k from 1 to 79"


def published_coco_order():
    """COCO category ids in the published order; the last are forgotten first.

    Returns:
        list[int]: The 80 category ids of COCO 2017.
    """
    order = list(COCO_CATEGORY_IDS)
    np.random.RandomState(_ORDER_SEED).shuffle(order)
    return order


def coco_class_names_by_id():
    """Names of the COCO 2017 categories.

    Returns:
        dict[int, str]: Category id to the name that mmdet uses.
    """
    return dict(zip(COCO_CATEGORY_IDS, CocoDataset.METAINFO['classes']))


def published_requests(name):
    """Class names of every request of a published COCO split.

    Args:
        name (str): 'coco-7x10' (seven requests of ten classes) or
            'coco-80-<k>' (one request of k classes, k from 1 to 79).

    Returns:
        list[list[str]]: Class names of each request, in order.

    Raises:
        ForgetError: If there is no such split.
    """
    names = coco_class_names_by_id()
    order = [names[i] for i in published_coco_order()]
    if name == 'coco-7x10':
        ends = range(len(order), 10, -10)
        return [order[end - 10:end] for end in ends]
    match = re.fullmatch(r'coco-80-([1-9]\d?)', str(name))
    if match and int(match[1]) < len(order):
        return [order[-int(match[1]):]]
    raise ForgetError(
        f'no published split is called {name!r}; known are {_KNOWN}, or list '
        'the class names of each request')
