"""Folders of images of which a share is held out of training."""
import numpy as np
from mmpretrain.datasets import CustomDataset

from ..registry import DATASETS
from ..utils.errors import ForgetError

PARTS = ('train', 'held_out')


@DATASETS.register_module()
class HeldOutFolder(CustomDataset):
    """`CustomDataset` of which one part is trained with, the other measured.

    Both parts name the same folder, share and seed. Of every class a share
    of the images is held out, drawn by a generator of its own over the paths
    in sorted order: the same on every machine.

    Args:
        part (str): ``'train'`` or ``'held_out'``.
        share (float): Share of the images of each class that is held out,
            in (0, 1); at least one and never all. Defaults to 0.2.
        split_seed (int): Seed of the draw. Defaults to 0.
        **kwargs: Arguments of ``CustomDataset``.

    Raises:
        ForgetError: If an argument is out of range, or a class has one image
            alone.
    """

    def __init__(self, *args, part, share=.2, split_seed=0, **kwargs):
        if part not in PARTS:
            raise ForgetError(f'part of HeldOutFolder is {part!r}; it must be '
                              f'{" or ".join(PARTS)}')
        if isinstance(
                share,
                bool) or not isinstance(share,
                                        (int, float)) or not 0 < share < 1:
            raise ForgetError(f'share of HeldOutFolder is {share!r}; it must '
                              'be above 0 and below 1')
        self.part, self.share, self.split_seed = part, share, split_seed
        super().__init__(*args, **kwargs)

    def load_data_list(self):
        """Paths and labels of this part."""
        found = sorted(super().load_data_list(), key=lambda i: i['img_path'])
        rng = np.random.default_rng(self.split_seed)
        held = set()
        for label in sorted({info['gt_label'] for info in found}):
            places = [
                i for i, info in enumerate(found) if info['gt_label'] == label
            ]
            held.update(self._draw(places, found, rng))
        return [
            info for i, info in enumerate(found)
            if (i in held) == (self.part == 'held_out')
        ]

    def _draw(self, places, found, rng):
        if len(places) < 2:
            raise ForgetError(
                f'{found[places[0]]["img_path"]} is the only image of its '
                'class, and none would be left to train with; add images')
        count = min(max(1, round(self.share * len(places))), len(places) - 1)
        return rng.permutation(places)[:count].tolist()
