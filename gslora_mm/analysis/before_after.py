"""What a model sees before and after forgetting, side by side."""
import contextlib
import io
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS

from ..datasets.candidates import labels_in
from ..engine.checkpoints import load_into, load_plain_state
from ..utils import write_bytes

_FORGOTTEN, _KEPT = (40, 40, 230), (60, 180, 60)
_BAR, _SIDE = 22, 360
# Of a name from the data; a file system takes 255 bytes.
_STEM = 50


def draw_before_after(test, folder, count=8, min_score=0.3):
    """Draw some validation images with what both models see in them.

    Images that show classes of the request come first. Detections or
    predictions of forgotten classes are red, all others green.

    Args:
        test (CheckpointTest): What was measured.
        folder (str): Where the images go.
        count (int): How many to draw.
        min_score (float): Detections below this score are left out; of
            predictions the highest one is shown in any case.

    Returns:
        int: Number of images written.
    """
    loader = test.task.evaluation_data(test.cfg, test.settings.classes)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools' chatter
        dataset = DATASETS.build(loader['dataset'])
    base, _ = load_plain_state(test.base)
    models = [_model(test, s) for s in (base, test.state)]
    names = test.settings.classes
    forgotten = {*test.request.forgotten, *test.request.classes}
    chosen = _images_with(dataset,
                          {names.index(c)
                           for c in test.request.classes}, count)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for place, index in enumerate(chosen):
        path = dataset.get_data_info(index)['img_path']
        panels = [
            _panel(path, title, _seen_by(model, dataset[index], min_score),
                   names, forgotten)
            for title, model in zip(('before', 'after'), models)
        ]
        # Folders of classes may use the same file names.
        picture = cv2.imencode('.png', np.concatenate(panels, axis=1))[1]
        write_bytes(
            Path(folder) / f'{place:02d}_{Path(path).stem[:_STEM]}.png',
            picture)
    return len(chosen)


def _model(test, state):
    model = MODELS.build(test.task.plain_model(test.cfg)).eval()
    load_into(model, state, 'the checkpoint')
    return model


def _images_with(dataset, labels, count):
    """Indices of images with the classes, evenly spread; then any others."""
    shown = [
        i for i in range(len(dataset))
        if labels & labels_in(dataset.get_data_info(i))
    ] or list(range(len(dataset)))
    step = max(1, len(shown) // max(1, count))
    return shown[::step][:count]


@torch.no_grad()
def _seen_by(model, item, min_score):
    """What a model sees in an image: (label, score, box or None) each."""
    sample = model.test_step(pseudo_collate([item]))[0]
    if 'pred_instances' not in sample:
        label = int(sample.pred_label)
        return [(label, float(sample.pred_score[label]), None)]
    found = sample.pred_instances
    return [(label, score, box) for label, score, box in zip(
        found.labels.tolist(), found.scores.tolist(), found.bboxes.cpu())
            if score >= min_score]


def _panel(path, title, seen, classes, forgotten):
    """One image with what is seen in it, and a title bar."""
    image = mmcv.imread(path)
    scale = max(1, round(_SIDE / max(image.shape[:2])))
    image = cv2.resize(image, None, fx=scale, fy=scale)
    for label, score, box in seen:
        name = classes[label]
        colour = _FORGOTTEN if name in forgotten else _KEPT
        x, y = 0, 0
        if box is not None:
            x, y, *far = (box.numpy() * scale).round().astype(int).tolist()
            cv2.rectangle(image, (x, y), far, colour, 2)
        _label(image, f'{name} {score:.2f}', x, y, colour)
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
