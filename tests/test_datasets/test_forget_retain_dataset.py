import json
import pickle

import pytest
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import DefaultScope
from tiny_data import (CATEGORY_IDS, CLASSES, FORGET, IMAGES, PIPELINE, RETAIN,
                       build, coco_cfg, img_ids, write_coco)
from torch.utils.data import DataLoader

from gslora_mm.datasets import StreamSampler
from gslora_mm.registry import DATASETS
from gslora_mm.utils.errors import ForgetError


@pytest.fixture
def root(tmp_path):
    write_coco(tmp_path, IMAGES)
    return tmp_path


def boxes_by_hand(root, image, names):
    """Sorted (label, xyxy box, crowd) of an image, from the file itself."""
    content = json.loads((root / 'ann.json').read_text())
    found = []
    for ann in content['annotations']:
        label = CATEGORY_IDS.index(ann['category_id'])
        if ann['image_id'] == 100 + image and CLASSES[label] in names:
            x, y, w, h = ann['bbox']
            found.append((label, [x, y, x + w, y + h], ann['iscrowd']))
    return sorted(found)


def boxes_of(instances):
    return sorted(
        (i['bbox_label'], i['bbox'], i['ignore_flag']) for i in instances)


def test_streams_hold_the_images_of_their_classes(root):
    dataset = build(root)
    assert img_ids(dataset) == ([0, 1, 6], [0, 2, 4])
    assert (dataset.num_forget, dataset.num_retain, len(dataset)) == (3, 3, 6)
    assert dataset.missing_classes == []
    assert dataset.metainfo['classes'] == CLASSES


def test_a_crowd_counts_only_on_demand(root):
    dataset = build(root, count_crowd=True)
    assert img_ids(dataset) == ([0, 1, 4, 6], [0, 2, 4, 5, 6])


def test_only_annotations_of_the_stream_are_left(root):
    dataset = build(root)
    for i, image in enumerate(sum(img_ids(dataset), [])):
        stream = 'forget' if i < 3 else 'retain'
        names = FORGET if stream == 'forget' else RETAIN
        info = dataset.get_data_info(i)
        assert boxes_of(info['instances']) == boxes_by_hand(
            root, image, names) != []
        assert info['stream'] == stream
    # Crowds stay, marked as before.
    assert [b[2] for b in boxes_of(dataset.get_data_info(2)['instances'])
            ] == [0, 1]


def test_labels_are_those_of_the_plain_dataset(root):
    dataset = build(root, ['cat'], ['dog'])
    plain = MMENGINE_DATASETS.build(dict(coco_cfg(root), _scope_='mmdet'))
    assert dataset.metainfo == plain.metainfo
    of_plain = {}
    for i in range(len(plain)):
        info = plain.get_data_info(i)
        of_plain[info['img_id']] = boxes_of(info['instances'])
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        label = 2 if i < dataset.num_forget else 3
        assert boxes_of(info['instances']) == [
            b for b in of_plain[info['img_id']] if b[0] == label
        ]


def test_samples_are_marked_and_packed(root):
    dataset = build(root)
    for i in range(len(dataset)):
        sample = dataset[i]
        stream = 'forget' if i < 3 else 'retain'
        packed = sample['data_samples']
        assert packed.metainfo['stream'] == stream
        info = dataset.get_data_info(i)
        assert packed.img_id == info['img_id']
        plain = [b for b in info['instances'] if not b['ignore_flag']]
        assert packed.gt_instances.labels.tolist() == [
            b['bbox_label'] for b in plain
        ]
        assert packed.gt_instances.bboxes.tensor.tolist() == [
            b['bbox'] for b in plain
        ]
        assert len(
            packed.ignored_instances) == len(info['instances']) - len(plain)
        assert sample['inputs'].shape == (3, 24, 32)
    for index in (6, -1):
        with pytest.raises(IndexError):
            dataset[index]


def test_get_data_info_hands_out_copies(root):
    dataset = build(root)
    dataset.get_data_info(0)['instances'].clear()
    dataset.get_data_info(3)['instances'][0]['bbox_label'] = 99
    assert len(dataset.get_data_info(0)['instances']) == 1
    assert dataset.get_data_info(3)['instances'][0]['bbox_label'] == 1


def test_built_by_the_registry_and_loaded_by_workers(root):
    cfg = dict(
        type='gslora_mm.ForgetRetainDataset',
        dataset=coco_cfg(root, serialize_data=True),
        forget=FORGET,
        retain=RETAIN,
        lazy_init=True)
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(cfg)
    dataset.full_init()
    dataset.full_init()
    dataset = pickle.loads(pickle.dumps(dataset))
    loader = DataLoader(
        dataset,
        batch_size=2,
        sampler=StreamSampler(dataset, 2, seed=0),
        num_workers=1,
        collate_fn=pseudo_collate)
    for batch in loader:
        assert [s.stream
                for s in batch['data_samples']] == ['forget', 'retain']


def test_a_built_dataset_is_wrapped_too(root):
    plain = MMENGINE_DATASETS.build(dict(coco_cfg(root), _scope_='mmdet'))
    assert img_ids(build(root, cfg=plain)) == img_ids(build(root))


class Refuse:
    """A pipeline that refuses some images."""

    def __init__(self, names):
        self.names = names

    def __call__(self, results):
        name = results['img_path'].rsplit('/', 1)[-1]
        return None if name in self.names else results


def test_the_next_of_the_stream_stands_in(root):
    cfg = coco_cfg(root)
    cfg['pipeline'] = [Refuse(['1.jpg', '6.jpg'])] + PIPELINE
    dataset = build(root, cfg=cfg)
    assert [dataset[i]['data_samples'].img_id for i in range(3)] == [100] * 3
    assert {dataset[i]['data_samples'].stream for i in range(3)} == {'forget'}
    cfg['pipeline'] = [Refuse(['0.jpg', '1.jpg', '6.jpg'])] + PIPELINE
    dataset = build(root, cfg=dict(cfg, max_refetch=5))
    with pytest.raises(ForgetError, match='refused 6 images of the forget'):
        dataset[0]
    assert dataset[4]['data_samples'].img_id == 102
