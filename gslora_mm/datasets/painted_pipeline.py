"""A pipeline in which objects are painted out of the image."""
import mmcv
from mmengine import fileio

from ..utils.errors import ForgetError


def run_painted(pipeline, info, paint):
    """Run a pipeline, and paint as soon as the image is loaded.

    Args:
        pipeline (Compose): Of a data set of mmdet.
        info (dict): What goes in.
        paint (Callable): Makes the painted image of the loaded one, (H, W, 3).

    Returns:
        dict | None: What comes out; None where a transform drops the image.

    Raises:
        ForgetError: If the pipeline is no list of transforms, or none of them
            loads an image.
    """
    steps = getattr(pipeline, 'transforms', None)
    if steps is None:
        raise ForgetError(
            'the pipeline of train_dataloader.dataset is no list of '
            'transforms, so that nothing can be painted behind its first '
            'ones; give it as a list')
    seen = False
    for step in steps:
        info = step(info)
        if info is None:
            return None
        if not seen and isinstance(info, dict) and 'img' in info:
            seen, info['img'] = True, paint(info['img'])
    if not seen:
        raise ForgetError(
            'no transform of train_dataloader.dataset.pipeline loads an '
            "image under 'img', so that nothing can be painted; begin "
            "with dict(type='LoadImageFromFile')")
    return info


def donor_of(dataset, share):
    """An image of a data set that a piece may be taken from.

    Args:
        dataset (BaseDetDataset): The data set.
        share (float): Which, from 0 to below 1.

    Returns:
        tuple[ndarray, list]: The image, and the boxes of all that it shows.
    """
    info = dataset.get_data_info(int(share * len(dataset)))
    content = fileio.get(
        info['img_path'], backend_args=getattr(dataset, 'backend_args', None))
    return mmcv.imfrombytes(content), [i['bbox'] for i in info['instances']]
