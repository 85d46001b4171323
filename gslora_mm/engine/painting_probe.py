"""What painted images look like, and whether a model can tell."""
import contextlib
import copy
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS
from rich.console import Console
from rich.progress import track

from ..datasets.painting import FILLS
from ..lora import fingerprint
from ..models.cpu_deformable_attention import fast_cpu_attention
from ..utils import ForgetError
from .checkpoints import load_into, load_plain_state
from .config_checks import refuse_unknown
from .painted_tokens import blended_maps
from .recovery.layer_features import encoder_boxes
from .recovery.probes import tell_apart
from .request_config import training_config
from .settings import ForgetSettings
from .tasks import task_of

# What a fill is compared with: the object is still there.
ORIGINAL = 'not painted'
# Not of the image: the encoder's maps are filled as `blend` fills pixels.
TOKENS = 'tokens'
_TRIES = 50


@dataclass
class PaintingReport:
    """What a probe of paintings found.

    Args:
        rows (list[dict]): ``fill``, ``layer``, ``auc``: area under the ROC
            curve of telling painted boxes from untouched ones, None where
            there are too few; ``pairs``: how many of either.
        pictures (list[dict]): Images by fill, uint8 (H, W, 3), blue first,
            :data:`ORIGINAL` among them; ``boxes`` (K, 4) in pixels.
    """
    rows: list = field(default_factory=list)
    pictures: list = field(default_factory=list)


@fast_cpu_attention()
def probe_paintings(cfg, fills=None, images=200, pictures=6, number=1):
    """Ask the original model whether it sees where objects were painted out.

    A painted place must look like any other place without an object; else a
    model could learn to tell forgotten objects by the paint. For every
    painted box a box of the same size is put where the same image shows no
    object, and a logistic regression on the memory of the encoder, averaged
    over the box after each of its layers, is to tell one from the other; see
    :func:`~gslora_mm.engine.recovery.probes.tell_apart`.

    Args:
        cfg (Config): Of a run whose method has its teacher see painted
            images; ``forget.painting`` has the other settings.
        fills (list[str], optional): Which of
            :data:`~gslora_mm.datasets.painting.FILLS` and :data:`TOKENS`;
            default all.
        images (int): Training images with forgotten objects, at most.
            Defaults to 200.
        pictures (int): How many of them are returned. Defaults to 6.
        number (int): Which request, from 1. Defaults to 1.

    Returns:
        PaintingReport: Of every fill, and of the images as they are.

    Raises:
        ForgetError: If the config paints nothing, there is no such request
            or fill, or the base model cannot be read.
    """
    settings = ForgetSettings.from_config(cfg)
    if not task_of(cfg).has_boxes:
        raise ForgetError('nothing is painted out of the images of a '
                          'classifier: they have no boxes; give the config '
                          'of a detector')
    if not settings.painting:
        raise ForgetError(
            'this config paints nothing: its method shows its teacher no '
            'painted images; give one with forget.method.type='
            'CounterfactualTeacher')
    if not 1 <= number <= len(settings.requests):
        raise ForgetError(f'there is no request {number}; the config has '
                          f'{len(settings.requests)}')
    known = (*FILLS, TOKENS)
    refuse_unknown('--fills', dict.fromkeys(fills or ()), known)
    request = settings.requests[number - 1]
    state, _ = load_plain_state(cfg.load_from)
    run = training_config(cfg, settings, request,
                          Path('none') / request.name, cfg.load_from,
                          fingerprint(state))
    with contextlib.redirect_stdout(io.StringIO()):  # what trains
        model = MODELS.build(run.model)
    load_into(model, state, cfg.load_from)
    model.to('cuda' if torch.cuda.is_available() else 'cpu').eval()
    report = PaintingReport()
    for fill in (ORIGINAL, *(fills or known)):
        data = _dataset(cfg, settings, run, fill)
        count = min(images, data.num_forget)
        _look(model, data, count, pictures, fill, report,
              cfg.val_dataloader.get('batch_size', 1))
    return report


def _dataset(cfg, settings, run, fill):
    """The painted training images, as an evaluation sees them."""
    data = copy.deepcopy(run.train_dataloader.dataset.to_dict())
    data['dataset']['pipeline'] = task_of(cfg).prototype_pipeline(
        cfg, settings.classes)
    data.pop('subset_file', None)
    if fill not in (ORIGINAL, TOKENS):
        data['painting'] = dict(settings.painting, fill=fill)
        if fill != settings.painting['fill']:
            # Each has a radius of its own.
            data['painting']['radius'] = None
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools
        return DATASETS.build(data)


def _look(model, data, count, pictures, fill, report, batch):
    """Add what is found of one fill."""
    rng = np.random.default_rng(0)
    features, kinds = [], []
    places = range(0, count, batch)
    for first in track(
            places,
            f'painting: {fill}',
            transient=True,
            disable=not Console().is_terminal):
        taken = []
        for idx in range(first, min(first + batch, count)):
            sample = data[idx]
            boxes = sample['data_samples'].get('painted_boxes')
            if boxes is None:
                # Painted with what was there.
                continue
            others = _others(data, idx, sample)
            shape = sample['data_samples'].img_shape
            pair = paired_boxes(boxes, others, data.painter, shape, rng)
            if fill != TOKENS:
                if fill != ORIGINAL:
                    sample['inputs'] = sample['data_samples'].painted_inputs
                _keep_picture(report, pictures, idx, fill, sample, boxes)
            taken.append((sample, data.painter.regions(boxes, shape),
                          data.painter.regions(others, shape), *pair))
        if taken:
            found, kind = _pooled(model, taken, fill == TOKENS)
            features.append(found)
            kinds.append(kind)
    if not kinds:
        raise ForgetError('no image shows an object of the classes that are '
                          'forgotten; there is nothing to paint')
    kinds = np.concatenate(kinds)
    for layer in features[0]:
        joined = np.concatenate([part[layer] for part in features])
        auc = tell_apart(joined, kinds, 0)
        report.rows.append(
            dict(
                fill=fill,
                layer=layer,
                auc=None if np.isnan(auc) else auc,
                pairs=int(kinds.sum())))


def _others(data, idx, sample):
    """Boxes of what stays, in pixels of the sample, (K, 4)."""
    found = data.get_data_info(idx)['others']
    meta = sample['data_samples']
    scale = np.tile(
        [n / o for n, o in zip(meta.img_shape[1::-1], meta.ori_shape[1::-1])],
        2)
    return np.reshape(found, (-1, 4)) * scale


def paired_boxes(painted, others, painter, shape, rng):
    """Painted boxes, and boxes as large where there is no object.

    Args:
        painted (Tensor): Boxes x1, y1, x2, y2 in pixels, (K, 4).
        others (ndarray): Boxes of what stays, (L, 4).
        painter (Painter): Says how far the paint reaches.
        shape (tuple[int]): Height and width of the image.
        rng (numpy.random.Generator): To draw from.

    Returns:
        tuple[ndarray, ndarray]: (M, 4) each. Where the image has no room for
        the second box, the first is left out, or its size would tell; where
        it touches what stays, too.
    """
    painted = painted.numpy().astype(float)
    others = np.reshape(others, (-1, 4))
    taken = np.concatenate(
        [np.reshape(painter.regions(painted, shape), (-1, 4)), others])
    pairs = []
    for x1, y1, x2, y2 in painted:
        if not _apart([x1, y1, x2, y2], others):
            continue
        width, height = x2 - x1, y2 - y1
        room = shape[1] - width, shape[0] - height
        for _ in range(_TRIES if min(room) >= 0 else 0):
            x, y = rng.uniform(0, room)
            box = [x, y, x + width, y + height]
            if _apart(box, taken):
                pairs.append(([x1, y1, x2, y2], box))
                break
    found = np.reshape(pairs, (-1, 2, 4))
    return found[:, 0], found[:, 1]


def _apart(box, others):
    """Whether a box touches none of the others."""
    beside = (box[2:] <= others[:, :2]) | (box[:2] >= others[:, 2:])
    return bool(beside.any(1).all())


def _keep_picture(report, pictures, idx, fill, sample, boxes):
    known = {p['image']: p for p in report.pictures}
    if idx not in known:
        if fill != ORIGINAL or len(known) == pictures:
            return
        report.pictures.append(dict(image=idx, boxes=boxes.numpy()))
        known[idx] = report.pictures[-1]
    pixels = sample['inputs'].permute(1, 2, 0)
    known[idx][fill] = pixels.round().clamp(0, 255).byte().numpy()


@torch.no_grad()
def _pooled(model, taken, in_maps):
    """Features of all boxes by layer, and which of them are painted."""
    batch = pseudo_collate([sample for sample, *_ in taken])
    batch = model.data_preprocessor(batch, False)
    rois, kinds = [], []
    for i, (*_, painted, free) in enumerate(taken):
        for part, kind in ((painted, True), (free, False)):
            rois.append(np.insert(part, 0, i, axis=1))
            kinds.append(np.full(len(part), kind))
    rois = torch.as_tensor(
        np.concatenate(rois), dtype=batch['inputs'].dtype).to(batch['inputs'])
    height, width = batch['inputs'].shape[-2:]
    regions, others = ([
        np.reshape(part, (-1, 4)) / (width, height, width, height)
        for part in parts
    ] for parts in list(zip(*taken))[1:3])
    with blended_maps(model, regions,
                      others) if in_maps else contextlib.nullcontext():
        found = encoder_boxes(model, batch['inputs'], batch['data_samples'],
                              rois)
    return {k: v.float().cpu().numpy()
            for k, v in found.items()}, np.concatenate(kinds)  # yapf: disable
