"""Folders of images of which a share is held out of training."""
import numpy as np
from mmpretrain.datasets import CustomDataset

from ..registry import DATASETS
from ..utils.errors import ForgetError
from .held_out import HeldOut


@DATASETS.register_module()
class HeldOutFolder(HeldOut, CustomDataset):
    """`CustomDataset` of which one part is trained with, the other measured.

    Of every class the share is held out.

    Args:
        part, share, split_seed: See :class:`HeldOut`.
        **kwargs: Arguments of ``CustomDataset``.

    Raises:
        ForgetError: If an argument is out of range, or a class has one image
            alone.
    """

    def held_out(self, images):
        """See :meth:`HeldOut.held_out`."""
        rng, held = np.random.default_rng(self.split_seed), set()
        for label in sorted({info['gt_label'] for info in images}):
            places = [
                i for i, info in enumerate(images) if info['gt_label'] == label
            ]
            if len(places) < 2:
                raise ForgetError(
                    f'{images[places[0]]["img_path"]} is the only image of '
                    'its class, and none would be left to train with; add '
                    'images')
            held.update(self.draw(places, rng))
        return held
