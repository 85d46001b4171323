"""The published choice of classes that training never shows."""
import random

import pytest

from gslora_mm.datasets.class_orders import (published_requests,
                                             published_unseen)
from gslora_mm.datasets.requests import parse_requests
from gslora_mm.utils import ForgetError

HUNDRED = [f'c{i:02d}' for i in range(100)]


def order():
    places = list(range(100))
    random.Random(1337).shuffle(places)
    return [HUNDRED[i] for i in places]


@pytest.mark.parametrize('count', [1, 5, 19])
def test_first_of_the_order_and_never_forgotten(count):
    unseen = published_unseen(f'class100-missing-{count}', HUNDRED)
    assert unseen == order()[:count]
    # The split of all hundred, as without missing classes.
    requests = parse_requests('class100-4x20', HUNDRED, unseen)
    assert [list(r.classes)
            for r in requests] == published_requests('class100-4x20', HUNDRED)
    assert set(unseen) < set(requests[-1].retain)


def test_missing_classes_of_coco_are_never_forgotten():
    unseen = published_unseen('coco-missing-10')
    gone = sum(published_requests('coco-7x10'), [])
    assert len({*unseen, *gone}) == 80


def test_missing_classes_that_a_request_forgets():
    unseen = published_unseen('class100-missing-21', HUNDRED)
    with pytest.raises(ForgetError, match='listed as unseen'):
        parse_requests('class100-4x20', HUNDRED, unseen)


@pytest.mark.parametrize('name', [
    'class100', 'class100-missing', 'class100-missing-0',
    'class100-missing-100', 'coco-missing-80', 'dog'
])
def test_unknown_choices(name):
    with pytest.raises(ForgetError, match='no published choice'):
        published_unseen(name, HUNDRED)


def test_other_numbers_of_classes():
    with pytest.raises(ForgetError, match='made of 100 classes, not of 3'):
        published_unseen('class100-missing-5', HUNDRED[:3])
