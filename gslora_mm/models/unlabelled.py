"""Objects that nobody labelled, and that a teacher finds."""
import numpy as np
import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps

# Boxes that overlap more are of one object.
_SAME = .5


def paint_unlabelled(model, images, samples, said):
    """Paint out what a teacher still takes for a forgotten class.

    Labels miss objects. One that is left in the teacher's image is one that
    the model is told to go on seeing, and a few of them are all that it needs
    to keep the class. What counts as one: a query whose highest score is of a
    forgotten class and at least ``model.method.unlabelled``, at a place where
    there is no object of what stays, labelled or seen with such a score.

    Args:
        model (ForgettingMixin): With ``forgotten``, the ``painter`` of
            :class:`~gslora_mm.datasets.Painter` and the preprocessor.
        images (Tensor): What the teacher was shown, normalised, (B, 3, H, W).
        samples (list[DetDataSample]): Their samples.
        said (StreamOutputs): What it said of them.

    Returns:
        tuple[Tensor, Tensor]: Images of the same shape, changed inside of the
        boxes alone (``images`` itself if there is nothing to paint), and for
        every query the box that was painted, x1, y1, x2, y2 as shares of the
        padded image, NaN where none was, (B, Q, 4).
    """
    logits = said.logits.float()
    scores = (
        logits.sigmoid() if said.sigmoid else logits.softmax(-1)[..., :-1])
    seen, sides = images, images.new_tensor(images.shape[:1:-1]).repeat(2)
    found = torch.full_like(said.boxes, torch.nan, dtype=torch.float)
    for i, sample in enumerate(samples):
        height, width = sample.img_shape[:2]
        boxes = bbox_cxcywh_to_xyxy(said.boxes[i].float())
        boxes = boxes * boxes.new_tensor([width, height]).repeat(2)
        goes, stays = _objects(scores[i], boxes, sample, model.forgotten,
                               model.method.unlabelled)
        if not goes.any():
            continue
        found[i, goes] = boxes[goes] / sides
        seen = images.clone() if seen is images else seen
        part = seen[i, :, :height, :width]
        part.copy_(_painted(model, part, boxes[goes], stays))
    return seen, found


def _objects(scores, boxes, sample, forgotten, least):
    """Which boxes are unlabelled objects that go, and all that stays, (K, 4).
    """
    labels = torch.as_tensor(forgotten, device=scores.device)
    known = sample.gt_instances
    stays = known.bboxes[~torch.isin(known.labels, labels)]
    stays = getattr(stays, 'tensor', stays).to(boxes)
    best, which = scores.max(-1)
    goes = torch.isin(which, labels)
    stays = torch.cat([stays, boxes[~goes & (best >= least)]])
    goes &= best >= least
    if goes.any() and len(stays):
        goes &= bbox_overlaps(boxes, stays).amax(1) <= _SAME
    return goes, stays


def _painted(model, image, gone, stays):
    """A normalised image (3, H, W) with some boxes painted out."""
    made = model.data_preprocessor
    mean, std = (getattr(made, key).to(image) if hasattr(made, key) else other
                 for key, other in (('mean', 0.), ('std', 1.)))
    pixels = (image * std + mean).permute(1, 2, 0).cpu().numpy()
    found = model.painter(pixels, gone.cpu().numpy(), 0, stays.cpu().numpy())
    new = torch.from_numpy(np.ascontiguousarray(found)).to(image)
    new = (new.permute(2, 0, 1) - mean) / std
    # What is not painted keeps all of its bits.
    changed = torch.from_numpy((found != pixels).any(-1)).to(image.device)
    return torch.where(changed, new, image)
