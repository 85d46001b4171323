import json
from collections import Counter

import pytest
from tiny_data import CLASSES, build, img_ids, write_coco

from gslora_mm.datasets import subset_choice
from gslora_mm.utils.errors import ForgetError


@pytest.fixture
def many(tmp_path):
    """40 x ant, 20 x bee + cat, 20 x cat, 6 x eel."""
    write_coco(tmp_path, [['ant']] * 40 + [['bee', 'cat']] * 20 +
               [['cat']] * 20 + [['eel']] * 6)
    return tmp_path


def class_counts(dataset):
    return Counter(
        CLASSES[label] for i in range(len(dataset)) for label in
        {b['bbox_label']
         for b in dataset.get_data_info(i)['instances']})


def test_ratio(many):
    dataset = build(many, ['ant'], ['bee', 'cat', 'eel'], ratio=.5)
    assert class_counts(dataset) == dict(ant=20, bee=10, cat=20, eel=3)
    other = build(many, ['ant'], ['bee', 'cat', 'eel'], ratio=.5, seed=1)
    assert img_ids(other) != img_ids(dataset)
    plain = build(
        many, ['ant'], ['bee', 'cat', 'eel'], ratio=.5, stratified=False)
    assert (plain.num_forget, plain.num_retain) == (20, 23)


def test_shots(many):
    dataset = build(many, ['ant'], ['bee', 'cat', 'eel'], ratio=.1, shots=4)
    counts = class_counts(dataset)
    assert (counts['ant'], counts['bee'], counts['eel']) == (4, 4, 4)
    pooled = build(
        many, ['ant'], ['bee', 'cat', 'eel'], shots=4, shots_per_class=False)
    assert (pooled.num_forget, pooled.num_retain) == (4, 12)


def test_draws_that_leave_a_class_out(many):
    with pytest.raises(
            ForgetError, match='ratio=0.05 .*eel in the retain.*'
            'raise ratio'):
        build(many, ['ant'], ['bee', 'cat', 'eel'], ratio=.05)
    with pytest.raises(ForgetError, match='ratio=0.05 .*eel in the forget'):
        build(many, ['ant', 'eel'], ['bee'], ratio=.05)
    with pytest.raises(ForgetError, match=r'shots=9 .*eel \(6\)'):
        build(many, ['ant'], ['bee', 'eel'], shots=9)
    with pytest.raises(ForgetError, match='shots is 0'):
        build(many, shots=0, shots_per_class=False)
    # The published draw may miss a class and goes on.
    build(many, ['ant'], ['cat', 'eel'], shots=1, shots_per_class=False)


def test_subset_file_is_written_and_reused(many):
    path = many / 'run' / 'subset.json'
    first = build(many, retain=['cat'], ratio=.25, subset_file=path)
    content = json.loads(path.read_text())
    forget, retain = img_ids(first)
    assert content['forget']['img_ids'] == [100 + i for i in forget]
    assert content['retain']['file_names'] == [f'{i}.jpg' for i in retain]
    assert content['settings']['forget'] == ['ant']
    assert content['settings']['ratio'] == .25
    # What is in the file counts, not another draw.
    for stream, ids in (('forget', [103, 101]), ('retain', [141, 150])):
        content[stream]['img_ids'] = ids
    path.write_text(json.dumps(content))
    stamp = path.stat().st_mtime_ns
    again = build(many, retain=['cat'], ratio=.25, subset_file=str(path))
    assert img_ids(again) == ([3, 1], [41, 50])
    assert path.stat().st_mtime_ns == stamp


@pytest.mark.parametrize('change, key', [
    (dict(ratio=.5), 'ratio'),
    (dict(seed=1), 'seed'),
    (dict(shots=2), 'ratio'),
    (dict(retain=['bee', 'cat']), 'retain'),
    (dict(count_crowd=True), 'count_crowd'),
    (dict(stratified=False), 'stratified'),
])
def test_subset_file_of_other_settings(many, change, key):
    settings = dict(
        retain=['cat'], ratio=.25, subset_file=many / 'subset.json')
    build(many, **settings)
    with pytest.raises(
            ForgetError, match=rf'subset.json was drawn with {key}='):
        build(many, **{**settings, **change})


def test_subset_file_of_other_data(many):
    path = many / 'subset.json'
    build(many, retain=['cat'], ratio=.25, subset_file=path)
    content = json.loads(path.read_text())
    content['forget']['img_ids'][0] = 150
    path.write_text(json.dumps(content))
    with pytest.raises(ForgetError, match='lists image 150 for the forget'):
        build(many, retain=['cat'], ratio=.25, subset_file=path)
    path.write_text('{"settings": ')
    with pytest.raises(ForgetError, match='subset.json is damaged'):
        build(many, retain=['cat'], ratio=.25, subset_file=path)
    path.write_text('[]')
    with pytest.raises(ForgetError, match='is no subset file'):
        build(many, retain=['cat'], ratio=.25, subset_file=path)


def test_other_ranks_take_the_choice_of_the_first(many, monkeypatch):
    path = many / 'subset.json'
    sent = dict(forget=[5, 7], retain=[45])

    def receive(outcome):
        assert outcome == [None]
        outcome[0] = sent

    monkeypatch.setattr(subset_choice, 'is_main_process', lambda: False)
    monkeypatch.setattr(subset_choice, 'broadcast_object_list', receive)
    dataset = build(many, retain=['cat'], ratio=.25, subset_file=path)
    assert img_ids(dataset) == ([5, 7], [45])
    assert not path.exists()
    sent = ForgetError('told by rank 0')
    with pytest.raises(ForgetError, match='told by rank 0'):
        build(many, retain=['cat'], ratio=.25, subset_file=path)
