"""Images whose forgotten objects are painted out, on their way to a model."""
import torch
from torch.nn import functional as F

from ..utils import ForgetError


def painted_inputs(model, inputs, samples):
    """What a teacher sees: painted images in the place of the original ones.

    They are normalised by the model's data preprocessor and padded as the
    images that they stand for.

    Args:
        model (BaseModel): Has a ``data_preprocessor``.
        inputs (Tensor): Images of shape (B, 3, H, W).
        samples (list[BaseDataElement]): Their samples; ``painted_inputs`` of
            :class:`~gslora_mm.datasets.PaintedDataset` in some of them.

    Returns:
        Tensor: Shape (B, 3, H, W); ``inputs`` itself if none is painted.

    Raises:
        ForgetError: If an image was resized after it left its pipeline.
    """
    index = [i for i, s in enumerate(samples) if 'painted_inputs' in s]
    if not index:
        return inputs
    seen = inputs.clone()
    for i in index:
        raw = samples[i].painted_inputs
        if tuple(raw.shape[-2:]) != tuple(samples[i].img_shape[:2]):
            raise ForgetError(
                'the data preprocessor resizes images, so that the painted '
                'ones would not fit; remove batch_augments from '
                'model.data_preprocessor')
        made = model.data_preprocessor(dict(inputs=[raw]), False)['inputs']
        free = [a - b for a, b in zip(inputs.shape[-2:], made.shape[-2:])]
        seen[i] = F.pad(
            made[0], (0, free[1], 0, free[0]),
            value=getattr(model.data_preprocessor, 'pad_value', 0))
    return seen


def painted_places(samples, inputs):
    """Where objects were painted out of some images.

    Args:
        samples (list[BaseDataElement]): Of N images.
        inputs (Tensor): The batch, (B, 3, H, W).

    Returns:
        tuple[list[Tensor], Tensor]: For each image boxes x1, y1, x2, y2,
        (K, 4), and of all images widths and heights, (N, 2): shares of the
        padded image.
    """
    height, width = inputs.shape[-2:]
    scale = inputs.new_tensor([width, height])
    boxes = [
        s.painted_boxes.to(inputs) /
        scale.repeat(2) if 'painted_boxes' in s else inputs.new_zeros(0, 4)
        for s in samples
    ]
    extents = torch.tensor([s.img_shape[1::-1] for s in samples])
    return boxes, extents.to(inputs) / scale
