"""What a teacher said of images that come again."""
import hashlib
from collections import OrderedDict

import torch


class TeacherCache:
    """Keeps tensors by the content of an image; the oldest ones go first.

    They lie in the memory of the computer, not in that of a GPU. What is
    kept is what comes back, also the first time: whether an image was seen
    before changes no bit, so that a resumed run repeats an undisturbed one.

    Args:
        megabytes (float): How much is kept at most.
        half (bool): Keep tensors in half precision. Defaults to False.

    Attributes:
        asked (int): How often an image was looked up.
        found (int): How often it was there.
        sigmoid (bool | None): What the teacher's scores are made by.
    """

    def __init__(self, megabytes, half=False):
        self.limit, self.half = megabytes * 2**20, half
        self._kept, self._bytes = OrderedDict(), 0
        self.asked = self.found = 0
        self.sigmoid = None

    def __len__(self):
        return len(self._kept)

    @property
    def megabytes(self):
        """float: How much is kept."""
        return self._bytes / 2**20

    def get(self, key, make):
        """Look up what belongs to an image.

        Args:
            key (bytes): See :func:`image_key`.
            make (Callable): Returns it, dict[str, Tensor], where nothing is
                kept.

        Returns:
            dict[str, Tensor]: On the CPU; not to be changed in place.
        """
        self.asked += 1
        if key in self._kept:
            self.found += 1
            self._kept.move_to_end(key)
            return self._kept[key]
        made = {k: self._packed(v) for k, v in make().items()}
        size = sum(v.nbytes for v in made.values())
        if size <= self.limit:
            self._kept[key] = made
            self._bytes += size
        while self._bytes > self.limit:
            _, old = self._kept.popitem(last=False)
            self._bytes -= sum(v.nbytes for v in old.values())
        return made

    def _packed(self, value):
        half = self.half and value.is_floating_point()
        kind = torch.float16 if half else value.dtype
        # A copy: a slice would keep the memory of its whole batch.
        return value.detach().to('cpu', kind, copy=True)


def image_key(image, sample):
    """What tells images apart, as far as a model's outputs depend on it.

    Args:
        image (Tensor): Padded image of shape (3, H, W).
        sample (BaseDataElement): Its sample; ``img_shape`` says what of the
            image is padding.

    Returns:
        bytes: A digest.
    """
    image = image.detach().cpu().contiguous()
    shape = tuple(sample.metainfo.get('img_shape', ()))
    about = (tuple(image.shape), str(image.dtype), shape,
             torch.is_autocast_enabled())
    digest = hashlib.blake2b(repr(about).encode(), digest_size=16)
    digest.update(image.view(torch.uint8).numpy())
    return digest.digest()
