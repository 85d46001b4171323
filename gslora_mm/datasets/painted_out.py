"""A data set as if some objects had never been."""
from functools import partial

from torch.utils.data import Dataset

from ..registry import DATASETS
from ..utils.errors import ForgetError
from .data_checks import full_init_checked, source_of
from .forget_retain_dataset import _build_inner
from .painted_pipeline import donor_of, run_painted
from .painting import Painter
from .random_state import image_seed
from .requests import check_class_names


@DATASETS.register_module()
class PaintedOut(Dataset):
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
        self.inner, self.names = _build_inner(dataset), list(classes)
        self.painter = Painter(**(painting or {}))
        self.full_init()

    @property
    def metainfo(self):
        """dict: Meta information of the whole data set, all classes."""
        return self.inner.metainfo

    def full_init(self):
        """Load the annotations."""
        full_init_checked(self.inner)
        known = self.metainfo['classes']
        check_class_names(self.names, known, 'the classes to paint out')
        self._gone = frozenset(map(known.index, self.names))
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
            parts[instance['bbox_label'] not in self._gone].append(instance)
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
