import dataclasses

import pytest
from mmdet.datasets import CocoDataset
from mmengine.config import Config

from gslora_mm.datasets import parse_requests
from gslora_mm.utils.errors import ForgetError

CLASSES = ('ant', 'bee', 'cat', 'dog', 'eel', 'wine glass')


def test_all_forms_of_a_request():
    first, second, third = parse_requests(
        [['eel', 'bee'], 'cat',
         dict(classes=['ant'], beta=.2, max_epochs=3)], CLASSES)
    assert (first.index, first.name) == (1, 'request_01')
    assert first.classes == ('eel', 'bee')
    assert first.forgotten == ()
    assert first.retain == ('ant', 'cat', 'dog', 'wine glass')
    assert second.classes == ('cat', )
    assert second.forgotten == ('eel', 'bee')
    assert second.retain == ('ant', 'dog', 'wine glass')
    assert third.forgotten == ('eel', 'bee', 'cat')
    assert third.retain == ('dog', 'wine glass')
    assert third.options == dict(beta=.2, max_epochs=3)
    assert first.options == {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.index = 2


def test_requests_of_a_config_file():
    cfg = Config(dict(requests=[dict(classes=('ant', ), alpha=1), ['bee']]))
    first, second = parse_requests(cfg.requests, CLASSES)
    assert first.classes == ('ant', ) and first.options == dict(alpha=1)
    assert second.retain == ('cat', 'dog', 'eel', 'wine glass')


def test_published_name():
    coco = CocoDataset.METAINFO['classes']
    requests = parse_requests('coco-7x10', coco)
    assert [len(r.retain) for r in requests] == [70, 60, 50, 40, 30, 20, 10]
    assert [len(r.forgotten) for r in requests] == list(range(0, 70, 10))
    for r in requests:
        assert sorted(r.classes + r.forgotten + r.retain) == sorted(coco)
        assert [c for c in coco if c in r.retain] == list(r.retain)
    with pytest.raises(ForgetError, match="request 1 .*'microwave'"):
        parse_requests('coco-7x10', CLASSES)


@pytest.mark.parametrize('requests, message', [
    ([['ant'], ['dgo']], "request 2 .*'dgo'.*mean 'dog'"),
    ([['Wine Glass']], "request 1 .*mean 'wine glass'"),
    ([['xylophone']], 'the 6 classes are ant, bee'),
    ([['ant'], ['bee', 'ant']], "'ant' is in request 1 and in request 2"),
    ([['ant', 'bee', 'ant']], "request 1 names class 'ant' twice"),
    ([['ant'], []], 'request 2 is empty'),
    ([dict(classes=[])], 'request 1 is empty'),
    ([dict(beta=1)], "request 1 has no key 'classes'"),
    ([], 'requests is empty'),
    ([list(CLASSES)], 'all 6 classes'),
    ([[c] for c in CLASSES], 'after request 6 all'),
    (dict(classes=['ant']), 'must be a list.*not dict'),
    (None, 'must be a list.*not NoneType'),
    ([3], 'request 1 is 3'),
    ([['ant', 3]], 'request 1 is'),
    ('coco-8x10', 'no published split'),
])
def test_bad_requests(requests, message):
    with pytest.raises(ForgetError, match=message) as caught:
        parse_requests(requests, CLASSES)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', ['goldfish', 'Carasius auratus'])
def test_one_of_several_names_for_a_class(name):
    classes = ('lionfish', 'goldfish, Carassius auratus', 'castle')
    with pytest.raises(ForgetError) as caught:
        parse_requests([[name]], classes)
    assert "mean 'goldfish, Carassius auratus'" in str(caught.value)
