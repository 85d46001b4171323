"""The generated shapes as files: a COCO set and a folder-per-class set.

Everything follows from one seed, so no image is ever downloaded or
committed.
"""
import json
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from ..utils.errors import ForgetError
from ..utils.files import read_json
from .shapes import SHAPES, STYLED_SHAPES, draw_scene, draw_single

_STAMP = 'recipe.json'
_SPLIT_SEED = dict(train=0, val=1)
# Other streams of random numbers than those of the scenes.
_FOLDER_SPLIT_SEED = dict(train=2, val=3)


def write_split(folder, split, num_images, seed=0, size=128):
    """Write the images and the COCO annotation file of one split."""
    folder = Path(folder)
    (folder / split).mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i in range(num_images):
        rng = np.random.default_rng([seed, _SPLIT_SEED[split], i])
        image, objects = draw_scene(rng, size)
        name = f'{i:05d}.jpg'
        _write_image(folder / split / name, image)
        images.append(dict(id=i, file_name=name, width=size, height=size))
        for label, box in objects:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=i,
                    category_id=label + 1,
                    bbox=box,
                    area=round(box[2] * box[3], 2),
                    iscrowd=0))
    categories = [dict(id=i + 1, name=n) for i, n in enumerate(SHAPES)]
    (folder / 'annotations').mkdir(exist_ok=True)
    (folder / 'annotations' / f'{split}.json').write_text(
        json.dumps(
            dict(
                images=images, annotations=annotations,
                categories=categories)))


def write_folder_split(folder,
                       split,
                       num_per_class,
                       seed=0,
                       size=48,
                       classes=SHAPES):
    """Write the images of one split into one folder per class."""
    for label, name in enumerate(classes):
        of_class = Path(folder) / split / name
        of_class.mkdir(parents=True, exist_ok=True)
        for i in range(num_per_class):
            rng = np.random.default_rng(
                [seed, _FOLDER_SPLIT_SEED[split], label, i])
            _write_image(of_class / f'{i:05d}.jpg',
                         draw_single(rng, label, size, classes))


def ensure_shapes(root, num_train=4000, num_val=500, seed=0, size=128):
    """Generate the detection set under ``root`` unless it is there.

    It is written beside its place and moved there whole, so that a killed or
    a concurrent first use never leaves half a data set.

    Args:
        root (str | Path): Folder of the data set.
        num_train (int): Training images. Defaults to 4000.
        num_val (int): Validation images. Defaults to 500.
        seed (int): Seed of every image. Defaults to 0.
        size (int): Side of the images in pixels. Defaults to 128.

    Returns:
        Path: ``root``.

    Raises:
        ForgetError: If ``root`` holds anything but such a set.
    """
    recipe = dict(
        num_train=num_train, num_val=num_val, seed=seed, size=size, version=1)
    return _ensure(root, recipe, write_split)


def ensure_shapes_folder(root,
                         num_train=400,
                         num_val=60,
                         seed=0,
                         size=48,
                         styled=False):
    """Generate the classification set under ``root`` unless it is there.

    One object per image, in ``train/<class>/`` and ``val/<class>/``; written
    as :func:`ensure_shapes` does.

    Args:
        root (str | Path): Folder of the data set.
        num_train (int): Training images of each class. Defaults to 400.
        num_val (int): Validation images of each class. Defaults to 60.
        seed (int): Seed of every image. Defaults to 0.
        size (int): Side of the images in pixels. Defaults to 48.
        styled (bool): Whether the classes are those of
            :data:`~gslora_mm.datasets.shapes.STYLED_SHAPES`. Defaults to
            False.

    Returns:
        Path: ``root``.

    Raises:
        ForgetError: If ``root`` holds anything but such a set.
    """
    recipe = dict(
        layout='styled folder' if styled else 'folder',
        num_train=num_train,
        num_val=num_val,
        seed=seed,
        size=size,
        version=1)
    classes = STYLED_SHAPES if styled else SHAPES
    return _ensure(root, recipe, partial(write_folder_split, classes=classes))


def _ensure(root, recipe, write):
    """Have ``write(folder, split, number, seed, size)`` fill both splits."""
    root = Path(root)
    stamp = root / _STAMP
    written = read_json(stamp) if stamp.is_file() else None
    if written == recipe:
        return root
    if not _may_replace(root, written, recipe):
        raise ForgetError(f'{root} holds something else than the generated '
                          'shapes, which would replace it; choose another '
                          'data_root')
    root.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f'.{root.name}-', dir=root.parent))
    try:
        for split in ('train', 'val'):
            write(fresh, split, recipe[f'num_{split}'], recipe['seed'],
                  recipe['size'])
        (fresh / _STAMP).write_text(json.dumps(recipe))
        if stamp.is_file() and read_json(stamp) == recipe:
            return root  # another process was first, and may read it already
        if root.exists():
            shutil.rmtree(root)
        os.replace(fresh, root)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return root


def _may_replace(root, written, recipe):
    """bool: Whether ``root`` is empty or holds a set of the same layout."""
    if written is None:
        return not root.exists() or (root.is_dir() and not any(root.iterdir()))
    # Two configs would otherwise replace each other's data for ever.
    return isinstance(written, dict) and 'version' in written and written.get(
        'layout') == recipe.get('layout')


def _write_image(path, image):
    # cv2.imwrite says nothing of a full disk.
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
    path.write_bytes(cv2.imencode('.jpg', image, quality)[1])
