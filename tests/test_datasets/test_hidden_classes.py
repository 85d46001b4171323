"""Images of classes that training must not show."""
import json

import pytest
from tiny_data import IMAGES, build, img_ids, write_coco

from gslora_mm.utils.errors import ForgetError


@pytest.fixture
def root(tmp_path):
    write_coco(tmp_path, IMAGES)
    return tmp_path


def test_no_image_of_a_hidden_class(root):
    assert img_ids(build(root)) == ([0, 1, 6], [0, 2, 4])
    # 1 shows a dog beside an ant.
    assert img_ids(build(root, hidden=['dog'])) == ([0, 6], [0, 2, 4])
    # 6 shows a crowd of cats.
    dataset = build(root, ['ant'], ['bee'], hidden='cat')
    assert img_ids(dataset) == ([0, 1], [0])
    assert img_ids(build(root, hidden=['eel'])) == img_ids(build(root))


def test_draws_are_of_the_images_that_are_left(root):
    dataset = build(root, hidden=['dog'], shots=2)
    assert img_ids(dataset)[0] == [0, 6]
    with pytest.raises(ForgetError, match=r'shots=3 .*ant \(2\)'):
        build(root, hidden=['dog'], shots=3)


@pytest.mark.parametrize('forget, retain, hidden, message', [
    (['dog'], ['cat'], ['dgo'], "the hidden classes names .*'dgo'; .*'dog'"),
    (['bee'], ['dog'], ['ant', 'cat'],
     r'no image of bee \(not counting those that show ant, cat\), which the'),
    (['ant'], ['cat'], ['cat'], r'any class that stays \(not counting .*cat'),
])
def test_what_is_left_must_do(root, forget, retain, hidden, message):
    with pytest.raises(ForgetError, match=message):
        build(root, forget, retain, hidden=hidden)


def test_subset_file_knows_what_was_hidden(root):
    path = root / 'subset.json'
    build(root, hidden=['dog'], subset_file=path)
    assert json.loads(path.read_text())['settings']['hidden'] == ['dog']
    build(root, hidden=['dog'], subset_file=path)
    with pytest.raises(ForgetError, match=r"drawn with hidden=\['dog'\]"):
        build(root, subset_file=path)
    path.unlink()
    build(root, subset_file=path)
    with pytest.raises(ForgetError, match='drawn with hidden=None'):
        build(root, hidden=['dog'], subset_file=path)
