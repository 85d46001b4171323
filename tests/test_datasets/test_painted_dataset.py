"""The second image of a sample, and samples that come again."""
import json
import random

import numpy as np
import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.runner import set_random_seed
from tiny_data import PIPELINE, coco_cfg, write_coco

from gslora_mm.datasets import ForgetRetainDataset, PaintedDataset, Painter
from gslora_mm.datasets.random_state import RandomState, drawn_from
from gslora_mm.utils import ForgetError

IMAGES = [
    ['ant', 'bee', 'cat'],  # 0: one class of each request, one that stays
    ['bee', 'cat'],  # 1: the second request
    ['ant', 'cat'],  # 2: the first request, retained for the second one
    ['cat', 'cat'],  # 3: nothing goes
    ['bee', 'ant*', 'dog'],  # 4: a crowd of the first
]
RANDOM = [
    *PIPELINE[:2],
    dict(type='RandomFlip', prob=.5),
    dict(type='RandomResize', scale=[(40, 40), (80, 80)], keep_ratio=True),
    dict(type='PhotoMetricDistortion'),
    PIPELINE[2],
]


@pytest.fixture
def root(tmp_path):
    write_coco(tmp_path, IMAGES)
    return tmp_path


def build(root, pipeline=PIPELINE, forget=('bee', ), gone=('ant', 'bee'),
          painting=None, **kwargs):  # yapf: disable
    cfg = dict(coco_cfg(root), pipeline=pipeline)
    return PaintedDataset(
        cfg,
        list(forget), ['cat', 'dog'],
        forgotten=list(gone),
        painting=painting,
        **kwargs)


def boxes_of(root, dataset, idx, classes):
    """x1, y1, x2, y2 of all objects of some classes, from the file."""
    info = ForgetRetainDataset.get_data_info(dataset, idx)
    content = json.loads((root / 'ann.json').read_text())
    names = {c['id']: c['name'] for c in content['categories']}
    found = [
        a['bbox'] for a in content['annotations'] if
        a['image_id'] == info['img_id'] and names[a['category_id']] in classes
    ]
    return [[x, y, x + w, y + h] for x, y, w, h in found]


def number(dataset, idx):
    return dataset.get_data_info(idx)['img_id'] - 100


def test_all_classes_forgotten_so_far_are_painted_in_both_streams(root):
    dataset = build(root, painting=dict(fill='telea'))
    painter = Painter('telea')
    seen = set()
    for idx in range(len(dataset)):
        image = LoadImageFromFile()(dataset.get_data_info(idx))['img']
        sample = dataset[idx]['data_samples']
        gone = boxes_of(root, dataset, idx, ('ant', 'bee'))
        seen.add((sample.stream, number(dataset, idx), len(gone)))
        assert ('painted_inputs' in sample) == bool(gone)
        if gone:
            stays = boxes_of(root, dataset, idx, ('cat', 'dog'))
            expected = painter(image, gone, others=stays).transpose(2, 0, 1)
            assert np.array_equal(sample.painted_inputs, expected)
            assert sample.painted_boxes.tolist() == gone
            assert not len(sample.ignored_instances)
        # The usual fields are those of the published protocol.
        names = ('bee', ) if sample.stream == 'forget' else ('cat', 'dog')
        kept = boxes_of(root, dataset, idx, names)
        assert sample.gt_instances.bboxes.tensor.tolist() == kept
    assert seen == {('forget', 0, 2), ('forget', 1, 1), ('forget', 4, 2),
                    ('retain', 0, 2), ('retain', 1, 1), ('retain', 2, 1),
                    ('retain', 3, 0), ('retain', 4, 2)}


def test_one_request_paints_its_own_classes(root):
    dataset = build(root, gone=('bee', ))
    for idx in range(len(dataset)):
        sample = dataset[idx]['data_samples']
        gone = boxes_of(root, dataset, idx, ('bee', ))
        assert ('painted_boxes' in sample) == bool(gone)
        if gone:
            assert sample.painted_boxes.tolist() == gone


def test_both_images_get_the_same_random_numbers(root):
    flips = RANDOM[:4] + RANDOM[-1:]
    dataset, shapes, flipped = build(root, flips), set(), set()
    for seed in range(8):
        set_random_seed(seed)
        sample = dataset[0]['data_samples']
        # What plain mmdet makes of the same numbers.
        set_random_seed(seed)
        plain = ForgetRetainDataset(
            dict(coco_cfg(root), pipeline=flips), ['bee'], ['cat', 'dog'])
        expected = plain[0]
        assert torch.equal(dataset_inputs(dataset, seed), expected['inputs'])
        meta = expected['data_samples']
        assert sample.flip == meta.flip
        assert sample.img_shape == meta.img_shape
        flipped.add(sample.flip)
        shapes.add(sample.img_shape)
        inputs = dataset_inputs(dataset, seed).float()
        changed = (inputs != sample.painted_inputs.float()).any(0)
        # Changed pixels lie around the boxes as they were moved.
        near = torch.zeros_like(changed)
        slack = 2 * max(sample.scale_factor) + 2
        for x1, y1, x2, y2 in sample.painted_boxes.tolist():
            near[max(0, int(y1 - slack)):int(y2 + slack) + 1,
                 max(0, int(x1 - slack)):int(x2 + slack) + 1] = True
        assert changed.any() and not changed[~near].any()
    assert flipped == {True, False} and len(shapes) > 2


def dataset_inputs(dataset, seed):
    set_random_seed(seed)
    return dataset[0]['inputs']


def test_colours_change_alike(root):
    """Brightness and the like: equal where nothing is painted."""
    dataset = build(root, RANDOM[:2] + RANDOM[4:])
    for seed in range(5):
        set_random_seed(seed)
        data = dataset[1]
        same = (data['inputs'] == data['data_samples'].painted_inputs).all(0)
        assert .3 < same.float().mean() < .95


def test_what_is_drawn_behind_does_not_change(root):
    set_random_seed(3)
    build(root, RANDOM)[0]
    found = random.random(), np.random.rand(), torch.rand(1).item()
    set_random_seed(3)
    ForgetRetainDataset(
        dict(coco_cfg(root), pipeline=RANDOM), ['bee'], ['cat', 'dog'])[0]
    assert found == (random.random(), np.random.rand(), torch.rand(1).item())


class Peeks:
    """A transform that moves boxes by what it sees."""

    def __call__(self, results):
        results['gt_bboxes'].translate_((int(results['img'].sum()) % 7, 0))
        return results


def test_transforms_that_look_at_pixels_are_refused(root):
    dataset = build(root)
    dataset.inner.pipeline.transforms.insert(2, Peeks())
    with pytest.raises(ForgetError, match='transforms that look at pixels'):
        [dataset[i] for i in range(len(dataset))]


def test_a_pipeline_that_loads_nothing_is_refused(root):
    dataset = build(root)
    steps = dataset.inner.pipeline.transforms
    load = steps[0]
    dataset.inner.pipeline = lambda info: load(info)
    with pytest.raises(ForgetError, match='is no list of transforms'):
        dataset[0]


def variants_of(dataset, idx, count=30):
    found = []
    for seed in range(count):
        set_random_seed(seed)
        found.append(dataset[idx]['inputs'].numpy().tobytes())
    return found


@pytest.mark.parametrize('kind', [PaintedDataset, ForgetRetainDataset])
def test_a_number_of_variants(root, kind):
    cfg = dict(coco_cfg(root), pipeline=RANDOM)

    def make(**kwargs):
        if kind is PaintedDataset:
            kwargs['forgotten'] = ['ant', 'bee']
        return kind(cfg, ['bee'], ['cat', 'dog'], **kwargs)

    three = variants_of(make(variants=3), 0)
    assert len(set(three)) == 3
    assert variants_of(make(variants=3), 0) == three
    assert set(variants_of(make(variants=1), 0)) < set(three)
    # The streams share them; another seed has others.
    stay = make(variants=3).num_forget
    assert set(variants_of(make(variants=3), stay)) == set(three)
    assert not set(variants_of(make(variants=3, seed=1), 0)) & set(three)
    assert len(set(variants_of(make(), 0))) > 20


def test_random_numbers_go_on_behind_a_seed():
    set_random_seed(0)
    expected = random.random(), np.random.rand(), torch.rand(1).item()
    set_random_seed(0)
    with drawn_from(5):
        inside = random.random(), np.random.rand(), torch.rand(1).item()
    assert (random.random(), np.random.rand(),
            torch.rand(1).item()) == expected
    state = RandomState()
    with drawn_from(5):
        assert inside == (random.random(), np.random.rand(),
                          torch.rand(1).item())
    first = random.random()
    state.restore()
    assert random.random() == first


def test_unknown_forgotten_class(root):
    with pytest.raises(ForgetError, match='the forgotten classes'):
        build(root, gone=('antt', ))
