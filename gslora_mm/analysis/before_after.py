"""Detections before and after forgetting, side by side."""
import contextlib
import io
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate

from ..engine.checkpoints import load_into, load_plain_state
from ..engine.request_config import offline_model

_FORGOTTEN, _KEPT = (40, 40, 230), (60, 180, 60)
_BAR = 22


def draw_before_after(test, folder, count=8, min_score=0.3):
    """Draw some validation images with the detections of both models.

    Images that show classes of the request come first. Detections of
    forgotten classes are red, all others green.

    Args:
        test (CheckpointTest): What was measured.
        folder (str): Where the images go.
        count (int): How many to draw.
        min_score (float): Detections below this score are left out.

    Returns:
        int: Number of images written.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools' chatter
        dataset = DATASETS.build(test.cfg.val_dataloader.dataset)
    base, _ = load_plain_state(test.base)
    models = [_model(test.cfg, s) for s in (base, test.state)]
    forgotten = {*test.request.forgotten, *test.request.classes}
    chosen = _images_with(dataset, set(test.request.classes), count)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for index in chosen:
        item = dataset[index]
        path = item['data_samples'].img_path
        panels = [
            _panel(path, title, _detect(model, dataset[index]),
                   test.settings.classes, forgotten, min_score)
            for title, model in zip(('before', 'after'), models)
        ]
        cv2.imwrite(str(Path(folder) / f'{Path(path).stem}.png'),
                    np.concatenate(panels, axis=1))
    return len(chosen)


def _model(cfg, state):
    model = MODELS.build(offline_model(cfg)).eval()
    load_into(model, state, 'the checkpoint')
    return model


def _images_with(dataset, classes, count):
    """Indices of images with the classes, evenly spread; then any others."""
    labels = {dataset.metainfo['classes'].index(c) for c in classes}
    shown = [
        i for i in range(len(dataset))
        if any(inst['bbox_label'] in labels
               for inst in dataset.get_data_info(i)['instances'])
    ] or list(range(len(dataset)))
    step = max(1, len(shown) // max(1, count))
    return shown[::step][:count]


@torch.no_grad()
def _detect(model, item):
    return model.test_step(pseudo_collate([item]))[0].pred_instances


def _panel(path, title, found, classes, forgotten, min_score):
    """One image with its detections and a title bar."""
    image = mmcv.imread(path)
    scale = max(1, round(360 / max(image.shape[:2])))
    image = cv2.resize(image, None, fx=scale, fy=scale)
    for box, label, score in zip(found.bboxes.numpy() * scale,
                                 found.labels.tolist(),
                                 found.scores.tolist()):
        if score < min_score:
            continue
        name = classes[label]
        colour = _FORGOTTEN if name in forgotten else _KEPT
        x1, y1, x2, y2 = box.round().astype(int).tolist()
        cv2.rectangle(image, (x1, y1), (x2, y2), colour, 2)
        _label(image, f'{name} {score:.2f}', x1, y1, colour)
    bar = np.full((_BAR, image.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, title, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, .5, (0, 0, 0),
                1, cv2.LINE_AA)
    return np.concatenate([bar, image])


def _label(image, text, x, y, colour):
    """White text on a bar in the colour of its box, inside the image."""
    font, size = cv2.FONT_HERSHEY_SIMPLEX, .42
    (width, height), below = cv2.getTextSize(text, font, size, 1)
    y = max(y, height + below)
    x = max(0, min(x, image.shape[1] - width))
    cv2.rectangle(image, (x, y - height - below), (x + width, y), colour, -1)
    cv2.putText(image, text, (x, y - below // 2 - 1), font, size,
                (255, 255, 255), 1, cv2.LINE_AA)
