"""Images to learn forgotten classes again from."""
import numpy as np

from ..registry import DATASETS
from ..utils.errors import ForgetError
from .data_checks import check_on_disk, source_of
from .forget_retain_dataset import ForgetRetainDataset
from .subsets import few_shot_subset


@DATASETS.register_module()
class RelearnDataset(ForgetRetainDataset):
    """The training data with all of its labels, in one stream.

    Whoever learns forgotten classes again has images of them and wants to
    keep the others: nothing is dropped from an image. With ``shots`` there
    are so many images of each forgotten class and, beside them, every image
    without any of them. All are marked as retain stream.

    Args:
        shots (int, optional): Images of each forgotten class; default all.
        **kwargs: ``dataset``, ``forget``, ``retain``, ``hidden``, ``seed`` of
            :class:`ForgetRetainDataset`; its other arguments have no effect.

    Raises:
        ForgetError: As there; or if no image is without forgotten classes.
    """

    def full_init(self):
        """Load the annotations and choose the images, once."""
        if self._fully_initialized:
            return
        candidates, _, paths = self._find_candidates()
        chosen = self._choose(candidates['forget'], candidates['retain'])
        self._positions = dict(forget=[], retain=chosen)
        everything = self._labels['forget'] | self._labels['retain']
        self._labels = dict(forget=everything, retain=everything)
        check_on_disk(self.inner, [paths[i] for i in chosen])
        self._fully_initialized = True

    def _choose(self, forget, retain):
        """Positions of the images, ascending."""
        shots = self.settings['shots']
        if shots is None:
            return sorted({*forget, *retain})
        positions = sorted(forget)
        drawn = few_shot_subset([forget[i] for i in positions], shots,
                                self.settings['seed'],
                                self.metainfo['classes'])
        kept = sorted(set(retain) - set(forget))
        if not kept:
            raise ForgetError(
                f'{source_of(self.inner)} has no image without a forgotten '
                'class, so that few images of them would not be few; leave '
                'out shots')
        return np.union1d([positions[i] for i in drawn], kept).tolist()
