import random

import numpy as np
import pytest

from gslora_mm.datasets import (COCO_CATEGORY_IDS, coco_class_names_by_id,
                                parse_requests, published_class100_order,
                                published_coco_order, published_requests)
from gslora_mm.utils.errors import ForgetError

# Fact sheet of the published code: category ids and names of every task.
TASK_IDS = [
    [78, 41, 28, 52, 37, 84, 53, 63, 19, 76],
    [8, 54, 70, 62, 87, 44, 3, 77, 61, 55],
    [39, 32, 35, 23, 38, 43, 58, 33, 40, 47],
    [11, 56, 13, 1, 6, 48, 4, 46, 14, 60],
    [21, 80, 7, 73, 57, 17, 81, 20, 15, 24],
    [2, 27, 75, 51, 67, 22, 16, 85, 18, 31],
    [10, 42, 86, 34, 82, 90, 72, 89, 50, 25],
]
NEVER = [74, 64, 65, 5, 79, 59, 36, 88, 9, 49]
TASK_1 = ('microwave, skateboard, umbrella, banana, sports ball, book, '
          'apple, couch, horse, keyboard').split(', ')
TASK_7 = ('traffic light, surfboard, vase, frisbee, refrigerator, '
          'toothbrush, tv, hair drier, spoon, giraffe').split(', ')
# Places of 100 classes, as the published code lists them; the last block of
# twenty is the first task.
CLASS100 = [
    83, 17, 10, 9, 89, 52, 7, 32, 37, 77, 61, 34, 78, 55, 56, 63, 69, 22, 75,
    66, 35, 72, 71, 23, 86, 38, 24, 5, 29, 30, 16, 11, 82, 19, 57, 14, 91, 27,
    98, 53, 0, 20, 59, 28, 47, 18, 6, 48, 12, 62, 1, 43, 3, 60, 41, 85, 4, 95,
    97, 36, 94, 65, 67, 99, 25, 33, 70, 40, 92, 31, 58, 15, 45, 2, 87, 76, 80,
    44, 64, 8, 51, 54, 13, 88, 84, 26, 50, 39, 96, 81, 49, 42, 21, 93, 74, 73,
    46, 90, 68, 79
]
FOLDERS = [f'n{place:02d}' for place in range(100)]


def test_order_is_the_published_one_and_leaves_numpy_alone():
    np.random.seed(5)
    expected_next = np.random.RandomState(5).rand()
    order = published_coco_order()
    assert np.random.rand() == expected_next
    assert order == NEVER + sum(TASK_IDS[::-1], [])
    assert len(COCO_CATEGORY_IDS) == 80
    assert sorted(order) == list(COCO_CATEGORY_IDS)


def test_requests_of_seven_tasks():
    names = coco_class_names_by_id()
    requests = published_requests('coco-7x10')
    assert requests == [[names[i] for i in task] for task in TASK_IDS]
    assert requests[0] == TASK_1
    assert requests[6] == TASK_7


def test_names_agree_with_a_coco_file_of_known_ids():
    names = coco_class_names_by_id()
    known = {
        1: 'person',
        13: 'stop sign',
        44: 'bottle',
        67: 'dining table',
        70: 'toilet',
        78: 'microwave',
        84: 'book',
        90: 'toothbrush'
    }
    assert {i: names[i] for i in known} == known


@pytest.mark.parametrize('k', [1, 5, 10, 70, 79])
def test_single_step(k):
    names = coco_class_names_by_id()
    tail = (NEVER + sum(TASK_IDS[::-1], []))[80 - k:]
    assert published_requests(f'coco-80-{k}') == [[names[i] for i in tail]]


def test_single_step_known_from_the_paper():
    assert published_requests('coco-80-1') == [['keyboard']]
    assert published_requests('coco-80-5') == [[
        'book', 'apple', 'couch', 'horse', 'keyboard'
    ]]


@pytest.mark.parametrize(
    'name', ['coco', 'coco-80-0', 'coco-80-80', 'coco-80-05', 'coco-80-', ''])
def test_unknown_split(name):
    with pytest.raises(ForgetError, match='coco-7x10.*coco-80-<k>'):
        published_requests(name)


def test_order_of_100_classes_is_the_published_one_and_leaves_random_alone():
    random.seed(5)
    order = published_class100_order()
    assert random.random() == random.Random(5).random()
    assert order == CLASS100


def test_requests_of_four_tasks():
    requests = published_requests('class100-4x20', FOLDERS)
    assert requests == [[f'n{i:02d}' for i in CLASS100[first:first + 20]]
                        for first in (80, 60, 40, 20)]
    assert requests[0][0] == 'n51' and requests[3][-1] == 'n53'


@pytest.mark.parametrize('k', [1, 5, 10, 50, 90, 99])
def test_single_step_of_100_classes(k):
    tail = [f'n{i:02d}' for i in CLASS100[100 - k:]]
    assert published_requests(f'class100-{k}', tuple(FOLDERS)) == [tail]


@pytest.mark.parametrize('classes, count', [(FOLDERS[:99], 99), (None, 0),
                                            (FOLDERS + ['x'], 101)])
def test_splits_of_100_classes_need_100(classes, count):
    with pytest.raises(ForgetError, match=f'100 classes, not of {count};'):
        published_requests('class100-4x20', classes)


@pytest.mark.parametrize(
    'name', ['class100', 'class100-0', 'class100-100', 'class100-5x20'])
def test_unknown_split_of_100_classes(name):
    with pytest.raises(ForgetError, match='class100-4x20.*class100-<k>'):
        published_requests(name, FOLDERS)


def test_a_sequence_of_requests_by_name():
    requests = parse_requests('class100-4x20', FOLDERS)
    assert [len(r.retain) for r in requests] == [80, 60, 40, 20]
    assert requests[-1].retain == tuple(f'n{i:02d}'
                                        for i in sorted(CLASS100[:20]))
