"""A tiny COCO-format data set whose content the tests know by heart."""
import json

import cv2
import numpy as np

from gslora_mm.datasets import ForgetRetainDataset

CLASSES = ('ant', 'bee', 'cat', 'dog', 'eel')
CATEGORY_IDS = (3, 5, 8, 13, 21)
IMAGES = [
    ['ant', 'bee', 'bee'],  # 0: both streams
    ['ant', 'dog'],  # 1: forget, and a class of neither stream
    ['bee', 'cat'],  # 2: retain
    ['dog'],  # 3: neither
    ['ant*', 'cat'],  # 4: only a crowd of the forget class
    ['bee*'],  # 5: only a crowd
    ['ant', 'ant*', 'cat*'],  # 6: forget with a crowd
    [],  # 7
]
FORGET, RETAIN = ['ant'], ['bee', 'cat']
PIPELINE = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs'),
]


def write_coco(root, images, classes=CLASSES, category_ids=CATEGORY_IDS):
    """Write images and ``ann.json``.

    Args:
        root (Path): Folder.
        images (list[list]): For each image its annotations: a class name,
            or the name with '*' appended for a crowd.

    Returns:
        dict: The content of the annotation file.
    """
    rng = np.random.default_rng(0)
    ids = dict(zip(classes, category_ids))
    content = dict(
        images=[],
        annotations=[],
        categories=[dict(id=i, name=n) for n, i in ids.items()])
    (root / 'img').mkdir(parents=True, exist_ok=True)
    for i, names in enumerate(images):
        pixels = rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)
        cv2.imwrite(str(root / 'img' / f'{i}.jpg'), pixels)
        content['images'].append(
            dict(id=100 + i, file_name=f'{i}.jpg', width=32, height=24))
        for name in names:
            x, y = rng.integers(0, 12, 2).tolist()
            w, h = rng.integers(4, 12, 2).tolist()
            content['annotations'].append(
                dict(
                    id=len(content['annotations']) + 1,
                    image_id=100 + i,
                    category_id=ids[name.rstrip('*')],
                    bbox=[x, y, w, h],
                    area=w * h,
                    iscrowd=int(name.endswith('*'))))
    write_json(root, content)
    return content


def write_json(root, content):
    (root / 'ann.json').write_text(json.dumps(content))


def coco_cfg(root, classes=CLASSES, serialize_data=False, **kwargs):
    # Serialising runs the garbage collector: slow beside a loaded mmdet.
    return dict(
        type='CocoDataset',
        data_root=str(root),
        ann_file='ann.json',
        data_prefix=dict(img='img/'),
        metainfo=dict(classes=classes),
        pipeline=PIPELINE,
        serialize_data=serialize_data,
        **kwargs)


def build(root, forget=FORGET, retain=RETAIN, cfg=None, **kwargs):
    cfg = cfg or coco_cfg(root)
    return ForgetRetainDataset(cfg, forget, retain, **kwargs)


def img_ids(dataset):
    """Image numbers of both streams."""
    ids = [
        dataset.get_data_info(i)['img_id'] - 100 for i in range(len(dataset))
    ]
    return ids[:dataset.num_forget], ids[dataset.num_forget:]
