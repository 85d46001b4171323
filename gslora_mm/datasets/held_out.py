"""Data of which a share is held out of training."""
from ..utils.errors import ForgetError

PARTS = ('train', 'held_out')


class HeldOut:
    """Data sets of which one part is trained with, and the other measured.

    Both parts name the same data, share and seed. What is held out is drawn
    by a generator of its own over the images in the order of their paths:
    the same on every machine.

    Args:
        part (str): ``'train'`` or ``'held_out'``.
        share (float): Share of the images that is held out, in (0, 1); at
            least one and never all. Defaults to 0.2.
        split_seed (int): Seed of the draw. Defaults to 0.
        **kwargs: Arguments of the data set beside it.

    Raises:
        ForgetError: If an argument is out of range.
    """

    def __init__(self, *args, part, share=.2, split_seed=0, **kwargs):
        owner = type(self).__name__
        if part not in PARTS:
            raise ForgetError(f'part of {owner} is {part!r}; it must be '
                              f'{" or ".join(PARTS)}')
        if isinstance(
                share,
                bool) or not isinstance(share,
                                        (int, float)) or not 0 < share < 1:
            raise ForgetError(f'share of {owner} is {share!r}; it must be '
                              'above 0 and below 1')
        self.part, self.share, self.split_seed = part, share, split_seed
        super().__init__(*args, **kwargs)

    def load_data_list(self):
        """Images of this part, in the order of their paths."""
        found = sorted(super().load_data_list(), key=lambda i: i['img_path'])
        held = self.held_out(found)
        return [
            info for i, info in enumerate(found)
            if (i in held) == (self.part == 'held_out')
        ]

    def held_out(self, images):
        """Draw what is held out.

        Args:
            images (list[dict]): All, in the order of their paths.

        Returns:
            set[int]: Places of those that are held out.
        """
        raise NotImplementedError

    def draw(self, places, rng):
        """Draw a share of some places, at least one and not all.

        Args:
            places (list[int]): At least two.
            rng (numpy.random.Generator): To draw from.

        Returns:
            list[int]: Some of them.
        """
        count = min(max(1, round(self.share * len(places))), len(places) - 1)
        return rng.permutation(places)[:count].tolist()
