"""Images to learn forgotten classes again from."""
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
        apart (bool): Whether those few images come first, as the sampler's
            forget stream, so that each batch can have a fixed number of
            them. Defaults to False.
        **kwargs: ``dataset``, ``forget``, ``retain``, ``hidden``, ``seed`` of
            :class:`ForgetRetainDataset`; its other arguments have no effect.

    Raises:
        ForgetError: As there; or if no image is without forgotten classes.
    """

    def __init__(self, *args, apart=False, **kwargs):
        self.apart = apart
        super().__init__(*args, **kwargs)

    def full_init(self):
        """Load the annotations and choose the images, once."""
        if self._fully_initialized:
            return
        candidates, _, paths = self._find_candidates()
        few, chosen = self._choose(candidates['forget'], candidates['retain'])
        if not self.apart:
            few, chosen = [], sorted({*few, *chosen})
        self._positions = dict(forget=few, retain=chosen)
        everything = self._labels['forget'] | self._labels['retain']
        self._labels = dict(forget=everything, retain=everything)
        check_on_disk(self.inner, [paths[i] for i in {*few, *chosen}])
        self._fully_initialized = True

    def get_data_info(self, idx):
        """See :meth:`ForgetRetainDataset.get_data_info`."""
        return dict(super().get_data_info(idx), stream='retain')

    def __getitem__(self, idx):
        """See :meth:`ForgetRetainDataset.__getitem__`."""
        data = super().__getitem__(idx)
        data['data_samples'].set_metainfo(dict(stream='retain'))
        return data

    def _choose(self, forget, retain):
        """Positions of the few images and of the others, ascending."""
        shots = self.settings['shots']
        if shots is None:
            return sorted(forget), sorted({*retain} - {*forget})
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
        return [positions[i] for i in drawn], kept
