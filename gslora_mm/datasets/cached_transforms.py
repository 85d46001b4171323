"""What the first steps of a pipeline make of an image, made once."""
import numpy as np
from mmcv.transforms import Compose

from ..registry import TRANSFORMS
from ..utils.errors import ForgetError
from .random_state import drawn_from, image_seed

MEBIBYTE = 2**20


@TRANSFORMS.register_module()
class CachedTransforms(Compose):
    """Run transforms on each image once and keep the outcome in memory.

    For the first steps of the pipeline of a small data set, which load an
    image and make the same of it each time; random transforms follow behind.
    Images beyond the limit go through the transforms each time. Every data
    set and every worker keeps its own.

    Args:
        transforms (list[dict]): Transforms as of any pipeline; what they make
            must depend on ``img_path`` alone. A random one draws the same for
            an image each time.
        limit (float): Most memory for arrays, MiB. Defaults to 1024.

    Raises:
        ForgetError: If limit is no number above 0.
    """

    def __init__(self, transforms, limit=1024):
        if isinstance(limit,
                      bool) or not isinstance(limit,
                                              (int, float)) or not limit > 0:
            raise ForgetError(f'limit of CachedTransforms is {limit!r}; it '
                              'must be a number of MiB above 0')
        super().__init__([
            TRANSFORMS.build(step) if isinstance(step, dict) else step
            for step in transforms
        ])
        self.limit = limit
        self._room = limit * MEBIBYTE
        self._kept = {}

    def transform(self, results):
        """Give an image what the transforms made of it.

        Args:
            results (dict): One image, with ``img_path``.

        Returns:
            dict | None: The same with what the transforms set, arrays of its
            own among it; None where they refuse the image.
        """
        path = results['img_path']
        if path not in self._kept:
            # Some draw though nothing depends on it. What is drawn behind must
            # not depend on what is kept already: a resumed run begins empty.
            with drawn_from(image_seed(dict(img_path=path))):
                made = super().transform(dict(results))
            if made is None:
                return None
            made = {
                key: value
                for key, value in made.items()
                if key not in results or value is not results[key]
            }
            size = sum(v.nbytes for v in made.values()
                       if isinstance(v, np.ndarray))
            if size > self._room:
                return {**results, **made}
            self._room -= size
            self._kept[path] = made
        return {
            **results,
            **{
                key: value.copy() if isinstance(value, np.ndarray) else value
                for key, value in self._kept[path].items()
            }
        }
