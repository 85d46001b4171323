import json

import pytest
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from tiny_data import (IMAGES, PIPELINE, build, coco_cfg, img_ids, write_coco,
                       write_json)

from gslora_mm.utils.errors import ForgetError


@pytest.fixture
def root(tmp_path):
    write_coco(tmp_path, IMAGES)
    return tmp_path


@pytest.mark.parametrize('forget, retain, message', [
    (['antt'], ['bee'], "forget stream names .*'antt'; .*'ant'"),
    (['ant'], ['bea'], "retain stream names .*'bea'; .*'bee'"),
    (['ant'], ['bee', 'ant'], "'ant' is to be forgotten and retained"),
    ([], ['bee'], 'forget names no class'),
    (['eel'], ['bee'], 'no image of eel'),
    (['ant'], ['eel'], 'no image of any class that stays'),
])
def test_bad_classes(root, forget, retain, message):
    with pytest.raises(ForgetError, match=message):
        build(root, forget, retain)


def test_a_missing_retained_class_is_allowed(root):
    dataset = build(root, retain=['bee', 'eel'])
    assert dataset.missing_classes == ['eel']
    assert img_ids(dataset)[1] == [0, 2]


def test_an_unreadable_image_is_named(root):
    dataset = build(root)
    (root / 'img' / '1.jpg').write_bytes(b'no jpeg')
    (root / 'img' / '6.jpg').write_bytes(b'')
    (root / 'img' / '2.jpg').unlink()
    for index, name in ((1, '1.jpg'), (2, '6.jpg'), (4, '2.jpg')):
        with pytest.raises(
                ForgetError, match=rf'cannot read the image .*img/{name}'):
            dataset[index]


class Stumble:

    def __call__(self, results):
        raise ValueError('a mistake of the pipeline')


def test_other_errors_of_the_pipeline_pass(root):
    cfg = coco_cfg(root)
    cfg['pipeline'] = PIPELINE + [Stumble()]
    with pytest.raises(ValueError, match='a mistake of the pipeline'):
        build(root, cfg=cfg)[0]


def test_images_that_are_not_on_disk(root):
    (root / 'img' / '3.jpg').unlink()  # in neither stream
    build(root)
    (root / 'img' / '6.jpg').unlink()
    with pytest.raises(ForgetError, match='1 images of .*first .*6.jpg'):
        build(root)


def unknown_category(content):
    content['annotations'][1]['category_id'] = 77


def unknown_image(content):
    content['annotations'][1]['image_id'] = 999


def other_order(content):
    content['categories'].reverse()


def category_missing(content):
    content['categories'] = content['categories'][1:]


def no_box(content):
    del content['annotations'][0]['bbox']


def no_images(content):
    del content['images']


@pytest.mark.parametrize('damage, message', [
    (unknown_category, 'annotation 2 of .*ann.json has the unknown .* 77'),
    (unknown_image, 'annotation 2 of .*ann.json belongs to the image 999'),
    (other_order, 'in another order .*metainfo.classes'),
    (category_missing, "has no category 'ant'"),
    (no_box, 'annotations.0. of .*ann.json is damaged: bbox is missing'),
    (no_images, 'ann.json is damaged: images is missing'),
])
def test_damaged_annotations(root, damage, message):
    content = json.loads((root / 'ann.json').read_text())
    damage(content)
    write_json(root, content)
    with pytest.raises(ForgetError, match=message) as caught:
        build(root)
    assert '\n' not in str(caught.value)


def test_missing_and_truncated_annotation_file(root):
    path = root / 'ann.json'
    path.write_text(path.read_text()[:-30])
    with pytest.raises(ForgetError, match='ann.json is truncated'):
        build(root)
    path.unlink()
    with pytest.raises(ForgetError, match='cannot read the annotation file '):
        build(root)


def test_a_loaded_dataset_with_shifted_labels_is_refused(root):
    cfg = coco_cfg(root, classes=('bee', 'cat', 'unicorn'), _scope_='mmdet')
    plain = MMENGINE_DATASETS.build(cfg)
    with pytest.raises(ForgetError, match='has 2 of the 3 classes'):
        build(root, ['bee'], ['cat'], cfg=plain)
