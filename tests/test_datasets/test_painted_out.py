"""A data set whose objects are painted out, beside the plain one."""
import numpy as np
import pytest
from tiny_data import PIPELINE, coco_cfg, write_coco

from gslora_mm.datasets import PaintedOut, Painter, WithoutClasses
from gslora_mm.datasets.random_state import image_seed
from gslora_mm.utils import ForgetError

IMAGES = [
    ['ant', 'bee', 'cat'],
    ['cat', 'dog'],
    ['ant*', 'dog'],
    ['ant'],
]


@pytest.fixture
def root(tmp_path):
    write_coco(tmp_path, IMAGES)
    return tmp_path


def build(root, pipeline=PIPELINE, **kwargs):
    return PaintedOut(
        dict(coco_cfg(root), pipeline=pipeline), ['ant'], **kwargs)


def pixels(data):
    return data['inputs'].numpy().transpose(1, 2, 0)


def test_all_images_without_the_objects(root):
    data = build(root)
    plain = data.inner
    assert len(data) == len(plain) == 4
    names = data.metainfo['classes']
    for i in range(4):
        info = plain.get_data_info(i)
        gone = [
            x for x in info['instances'] if names[x['bbox_label']] == 'ant'
        ]
        kept = [x for x in info['instances'] if x not in gone]
        assert data.get_data_info(i)['instances'] == kept
        sample, before = data[i], pixels(plain[i])
        # Crowds are in what the loss ignores.
        said = [
            label for part in (sample['data_samples'].gt_instances,
                               sample['data_samples'].ignored_instances)
            for label in part.labels.tolist()
        ]
        assert sorted(said) == sorted(x['bbox_label'] for x in kept)
        painted = Painter()(before, [x['bbox']
                                     for x in gone], image_seed(info),
                            [x['bbox'] for x in kept]) if gone else before
        np.testing.assert_array_equal(pixels(sample), painted)
        assert (painted != before).any() == bool(gone)
    with pytest.raises(IndexError):
        data[4]


def test_pixels_that_are_painted_are_those_of_the_box(root):
    data = build(root, painting=dict(fill='mean', margin=0., spare=0.))
    changed = (pixels(data[3]) != pixels(data.inner[3])).any(-1)
    (box, ) = (x['bbox'] for x in data.inner.get_data_info(3)['instances'])
    x1, y1, x2, y2 = map(round, box)
    assert changed[y1:y2, x1:x2].any()
    changed[y1:y2, x1:x2] = False
    assert not changed.any()


def test_an_image_that_a_transform_drops(root):
    """The one that is left without an object gives way to the next."""

    def refuse_empty(info):
        return info if len(info['gt_bboxes_labels']) else None

    pipeline = [*PIPELINE[:2], refuse_empty, PIPELINE[2]]
    data = build(root, pipeline)
    assert data[3]['data_samples'].img_id == data[0]['data_samples'].img_id
    nothing = PaintedOut(
        dict(coco_cfg(root), pipeline=pipeline), ['ant', 'bee', 'cat', 'dog'])
    nothing.inner.max_refetch = 5
    with pytest.raises(ForgetError, match='refused 6 images .*ann.json'):
        nothing[0]


def test_bad_input(root, tmp_path):
    with pytest.raises(ForgetError, match='aunt'):
        PaintedOut(coco_cfg(root), ['aunt'])
    with pytest.raises(ForgetError, match='forget.painting.fill'):
        build(root, painting=dict(fill='glue'))
    with pytest.raises(ForgetError, match='LoadImageFromFile'):
        build(root, PIPELINE[1:2])[0]
    for name in ('ant', 'bee'):
        (tmp_path / 'folders' / name).mkdir(parents=True)
        (tmp_path / 'folders' / name / '0.png').touch()
    folders = dict(
        type='mmpretrain.CustomDataset',
        data_root=str(tmp_path / 'folders'),
        classes=['ant', 'bee'])
    assert len(WithoutClasses(folders, ['ant'])) == 1
    with pytest.raises(ForgetError, match='no boxes'):
        PaintedOut(folders, ['ant'])
