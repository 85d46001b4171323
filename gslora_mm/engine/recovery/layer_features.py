"""What every block of a frozen model makes of images and objects."""
import copy
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from mmcv.ops import roi_align
from mmdet.models.task_modules.assigners import BBoxL1Cost, IoUCost
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.structures import InstanceData

from ...models.block_features import watch_blocks, watching
from ...models.detr_forgetting import DetrForgettingMixin
from ...utils import ForgetError


@dataclass
class LayerFeatures:
    """Features of N images or objects.

    Args:
        layers (dict[str, ndarray]): Of each block, (N, D), in the order of
            the network.
        logits (ndarray): What the head says of them, (N, C).
        labels (ndarray): Their classes, (N, ).
        sigmoid (bool): Whether each logit has a sigmoid of its own.
    """

    layers: dict
    logits: np.ndarray
    labels: np.ndarray
    sigmoid: bool


@torch.no_grad()
def layer_features(model, batches):
    """What a model makes of some images, block by block.

    Of a classifier: the mean of the tokens after each block, beside class
    tokens if there are any. Of a DETR, for every object: the memory after
    each layer of the encoder, averaged over the box on every level; and after
    each layer of the decoder the embedding of the query whose box fits, by
    the Hungarian algorithm on boxes alone: what a head thinks of classes it
    was to forget must not choose the queries.

    Args:
        model (ForgettingMixin): In inference mode.
        batches (Iterable): Images (B, 3, H, W) and their samples.

    Returns:
        LayerFeatures: Of all of them.

    Raises:
        ForgetError: If the model has no Transformer block.
    """
    detects = isinstance(model, DetrForgettingMixin)
    watch = _watch_detector if detects else watch_blocks
    take = _of_objects if detects else _of_images
    parts = []
    for inputs, samples in batches:
        with watch(model) as seen:
            parts.append(take(model, inputs, samples, seen))
    layers = {
        name: _joined(part[0][name] for part in parts)
        for name in parts[0][0]
    }
    logits, labels = (_joined(part[i] for part in parts) for i in (1, 2))
    return LayerFeatures(layers, logits, labels.astype(int), parts[0][3])


def _joined(tensors):
    return torch.cat([t.float().cpu() for t in tensors]).numpy()


def _keep(seen, name):

    def hook(module, args, output):
        seen[name] = output

    return hook


def _of_images(model, inputs, samples, seen):
    found = model.features(inputs, samples)
    return dict(seen), found.logits, found.labels, False


@contextmanager
def _watch_detector(model):
    """Memory after each layer, sizes of the maps, and decoder states."""
    seen, parts = {}, model.neck if model.with_neck else model.backbone

    def states(module, args, kwargs):
        seen['decoder'] = kwargs['hidden_states']

    hooks = [
        layer.register_forward_hook(_keep(seen, f'encoder.layers.{i}'))
        for i, layer in enumerate(model.encoder.layers)
    ]
    hooks.append(parts.register_forward_hook(_keep(seen, 'maps')))
    hooks.append(
        model.bbox_head.register_forward_pre_hook(states, with_kwargs=True))
    with watching(hooks):
        yield seen


def _of_objects(model, inputs, samples, seen):
    found = model.outputs(inputs, samples)
    boxes, labels, queries = [], [], []
    for i, sample in enumerate(samples):
        objects = sample.gt_instances
        chosen = matched_by_box(model.bbox_head, found.boxes[i],
                                found.logits[i], sample)
        # Without a query to spare an object is left out.
        there = chosen >= 0
        queries.append((chosen.new_full((int(there.sum()), ), i),
                        chosen[there]))  # yapf: disable
        boxes.append(objects.bboxes[there])
        labels.append(objects.labels[there])
    image, query = (torch.cat(part) for part in zip(*queries))
    rois = torch.cat([image[:, None].to(boxes[0]), torch.cat(boxes)], 1)
    layers = _pooled_layers(model, inputs, seen, rois)
    for i, states in enumerate(seen['decoder']):
        # Denoising queries, of a detector in training, come first.
        states = states[:, -found.logits.shape[1]:]
        layers[f'decoder.layers.{i}'] = states[image, query]
    return (layers, found.logits[image,
                                 query], torch.cat(labels), found.sigmoid)


def _pooled_layers(model, inputs, seen, rois):
    """The memory over boxes, after each layer of the encoder."""
    names = (f'encoder.layers.{i}' for i in range(len(model.encoder.layers)))
    return {
        name: pool_memory(seen[name], seen['maps'], rois, inputs.shape[-2:])
        for name in names
    }


@torch.no_grad()
def encoder_boxes(model, inputs, samples, rois):
    """What each layer of a detector's encoder makes of some boxes.

    Args:
        model (DetrForgettingMixin): In inference mode.
        inputs (Tensor): Images (B, 3, H, W).
        samples (list[DetDataSample]): Theirs.
        rois (Tensor): Index of the image and corners in pixels, (n, 5).

    Returns:
        dict[str, Tensor]: The mean over the box on every level, (n, levels
        D), by the name of the layer.
    """
    with _watch_detector(model) as seen:
        model.outputs(inputs, samples)
    return _pooled_layers(model, inputs, seen, rois)


def matched_by_box(head, boxes, logits, sample):
    """The query of each object, matched without a look at classes.

    Args:
        head (DETRHead): The head, for the costs of its boxes.
        boxes (Tensor): Of one image, normalised cx, cy, w, h, (Q, 4).
        logits (Tensor): (Q, C); only their number matters.
        sample (DetDataSample): The image.

    Returns:
        Tensor: Index of a query for each object, (n, ); -1 for none.

    Raises:
        ForgetError: If nothing in the head's assigner costs a box anything.
    """
    objects = sample.gt_instances
    assigner = copy.copy(head.assigner)
    assigner.match_costs = [
        cost for cost in assigner.match_costs
        if isinstance(cost, (BBoxL1Cost, IoUCost))
    ]
    if not assigner.match_costs:
        raise ForgetError(
            f'the assigner of {type(head).__name__} has neither BBoxL1Cost '
            'nor IoUCost, so that queries cannot be matched by their boxes; '
            'remove recovery.probes')
    height, width = sample.img_shape[:2]
    corners = bbox_cxcywh_to_xyxy(boxes) * boxes.new_tensor(
        [width, height, width, height])
    result = assigner.assign(
        InstanceData(bboxes=corners, scores=logits), objects, sample.metainfo)
    found = boxes.new_full((len(objects), ), -1, dtype=torch.long)
    query = (result.gt_inds > 0).nonzero().squeeze(1)
    found[result.gt_inds[query] - 1] = query
    return found


def pool_memory(memory, maps, rois, size):
    """Mean of an encoder's memory over boxes, level by level.

    Args:
        memory (Tensor): (B, tokens, D), level after level.
        maps (Sequence[Tensor]): What the levels were made of, (B, D, h, w)
            each; the last one alone where the encoder sees no other.
        rois (Tensor): Index of the image and corners in pixels, (n, 5).
        size (tuple[int, int]): Height and width of the batch in pixels.

    Returns:
        Tensor: (n, levels D).
    """
    shapes = [tuple(m.shape[-2:]) for m in maps]
    if memory.shape[1] != sum(h * w for h, w in shapes):
        shapes = shapes[-1:]
    pooled = []
    parts = memory.split([h * w for h, w in shapes], 1)
    for (h, w), part in zip(shapes, parts):
        level = part.transpose(1, 2).reshape(len(part), -1, h, w)
        scale = rois.new_tensor(
            [1., w / size[1], h / size[0], w / size[1], h / size[0]])
        pooled.append(
            roi_align(level.contiguous(), rois * scale, 1).flatten(1))
    return torch.cat(pooled, 1)
