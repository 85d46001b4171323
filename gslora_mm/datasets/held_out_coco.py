"""COCO-format images of which a share is held out of training."""
import numpy as np
from mmdet.datasets import CocoDataset

from ..registry import DATASETS
from ..utils.errors import ForgetError
from .held_out import HeldOut


@DATASETS.register_module()
class HeldOutCoco(HeldOut, CocoDataset):
    """`CocoDataset` of which one part is trained with, the other measured.

    The annotation file is that of both parts; ``ForgetCocoMetric`` takes
    from it what is of the images that were shown, with ``only_seen``.

    Args:
        part, share, split_seed: See :class:`HeldOut`.
        **kwargs: Arguments of ``CocoDataset``.

    Raises:
        ForgetError: If an argument is out of range, or there is one image
            alone.
    """

    def held_out(self, images):
        """See :meth:`HeldOut.held_out`."""
        if len(images) < 2:
            raise ForgetError(
                f'{self.ann_file} has {len(images)} images, of which none '
                'can be held out; add images')
        rng = np.random.default_rng(self.split_seed)
        return set(self.draw(list(range(len(images))), rng))
