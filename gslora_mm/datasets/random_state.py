"""The random numbers of a pipeline, repeated."""
import random
import zlib
from contextlib import contextmanager

import numpy as np
import torch


class RandomState:
    """What python, numpy and torch will draw next, on the CPU.

    Transforms draw from all three. Whoever runs a pipeline, calls
    :meth:`restore` and runs it again gets the same flips and crops.
    """

    def __init__(self):
        self._states = (random.getstate(), np.random.get_state(),
                        torch.get_rng_state())

    def restore(self):
        """Let the same be drawn again."""
        random.setstate(self._states[0])
        np.random.set_state(self._states[1])
        torch.set_rng_state(self._states[2])


@contextmanager
def drawn_from(seed):
    """Draw from generators of one seed; those of before go on behind it.

    Args:
        seed (int): At least 0.
    """
    before = RandomState()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    # Not torch.manual_seed, which seeds GPUs as well.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        before.restore()


def image_seed(info, *numbers):
    """A number that is always the same for an image.

    Args:
        info (dict): What ``get_data_info`` returned.
        *numbers (int): What else it depends on.

    Returns:
        int: In [0, 2**32), of the id of the image, or where it has none of
        its path.
    """
    name = (str(info.get('img_id', info['img_path'])), *numbers)
    return zlib.crc32(repr(name).encode())
