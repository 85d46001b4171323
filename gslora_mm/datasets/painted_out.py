"""A data set as if some objects had never been."""
from functools import partial

from ..registry import DATASETS
from ..utils.errors import ForgetError
from .data_checks import source_of
from .painted_pipeline import donor_of, run_painted
from .painting import Painter
from .random_state import image_seed
from .without_classes import Excluding


@DATASETS.register_module()
class PaintedOut(Excluding):
    """The images of a detection data set, objects of some classes painted out.

    For a model that never saw the classes and saw as many images as another:
    :class:`WithoutClasses` keeps those alone that show none, of which there
    may be few. Crowds are painted out as well. Labels keep their places, so
    that a model of the same shape can be trained by an ordinary config.

    Args:
        dataset (dict | BaseDetDataset): The data set.
        classes (list[str]): Names of the classes.
        painting (dict, optional): Arguments of :class:`Painter`.

    Raises:
        ForgetError: If a class is unknown, the data set has no boxes, or its
            pipeline cannot be painted in.
    """

    def __init__(self, dataset, classes, painting=None):
        self.painter = Painter(**(painting or {}))
        super().__init__(dataset, classes)

    def full_init(self):
        """Load the annotations."""
        super().full_init()
        if 'instances' not in self.inner.get_data_info(0):
            raise ForgetError(f'images of {source_of(self.inner)} have no '
                              'boxes, so that nothing can be painted out; '
                              'take WithoutClasses')

    def __len__(self):
        """int: Images, all of them."""
        return len(self.inner)

    def get_data_info(self, idx):
        """Annotations of one image, without the objects."""
        info = self.inner.get_data_info(idx)
        return dict(info, instances=self._parted(info)[1])

    def _parted(self, info):
        """Objects that go, and the others."""
        parts = [], []
        for instance in info['instances']:
            parts[instance['bbox_label'] not in self.gone].append(instance)
        return parts

    def __getitem__(self, idx):
        """One image, painted, after the pipeline."""
        if idx >= len(self):
            raise IndexError(idx)
        tries = getattr(self.inner, 'max_refetch', 1000) + 1
        for step in range(tries):
            data = self._transform((idx + step) % len(self))
            if data is not None:
                return data
        raise ForgetError(
            f'the pipeline refused {tries} images of {source_of(self.inner)} '
            'in a row; check its filters and the boxes in the annotations')

    def _transform(self, idx):
        info = self.inner.get_data_info(idx)
        gone, kept = self._parted(info)
        info['instances'] = kept
        if not gone:
            return self.inner.pipeline(info)
        boxes, others = ([i['bbox'] for i in part] for part in (gone, kept))
        return run_painted(
            self.inner.pipeline, info,
            lambda image: self.painter(image, boxes, image_seed(info), others,
                                       partial(donor_of, self.inner)))
