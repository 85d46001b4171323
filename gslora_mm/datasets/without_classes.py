"""A data set as if some classes had never been."""
from torch.utils.data import Dataset

from ..registry import DATASETS
from ..utils.errors import ForgetError
from .candidates import labels_in
from .data_checks import full_init_checked, source_of
from .forget_retain_dataset import _build_inner
from .requests import check_class_names


class Excluding(Dataset):
    """A data set some of whose classes shall not be seen.

    Args:
        dataset (dict | BaseDataset): The data set.
        classes (list[str]): Names of the classes.

    Attributes:
        gone (frozenset[int]): Their labels.

    Raises:
        ForgetError: If a class is unknown.
    """

    def __init__(self, dataset, classes):
        self.inner, self.names = _build_inner(dataset), list(classes)
        self.full_init()

    @property
    def metainfo(self):
        """dict: Meta information of the whole data set, all classes."""
        return self.inner.metainfo

    def full_init(self):
        """Load the annotations."""
        full_init_checked(self.inner)
        known = self.metainfo['classes']
        check_class_names(self.names, known, 'the classes to leave out')
        self.gone = frozenset(map(known.index, self.names))


@DATASETS.register_module()
class WithoutClasses(Excluding):
    """The images of a data set that show none of some classes.

    Nothing of an image is changed and labels keep their places, so that a
    model of the same shape can be trained by an ordinary config: the one
    that never saw the classes. Objects are not merely unlabelled: a detector
    would learn to overlook them.

    Args:
        dataset (dict | BaseDataset): The data set.
        classes (list[str]): Names of the classes.
        as_long (bool): Be as long as the whole data set, the images that are
            left one after another and again: a training of as many epochs
            then has as many steps. Defaults to False.

    Raises:
        ForgetError: If a class is unknown or no image is left.
    """

    def __init__(self, dataset, classes, as_long=False):
        self.as_long = as_long
        super().__init__(dataset, classes)

    def full_init(self):
        """Load the annotations and choose the images."""
        super().full_init()
        self.positions = [
            i for i in range(len(self.inner))
            if not self.gone & labels_in(self.inner.get_data_info(i))
        ]
        if not self.positions:
            raise ForgetError(f'{source_of(self.inner)} has no image without '
                              f'{", ".join(self.names)}; leave out fewer')

    def __len__(self):
        """int: Images that are left, or as many as there were."""
        return len(self.inner) if self.as_long else len(self.positions)

    def get_data_info(self, idx):
        """Annotations of one image."""
        return self.inner.get_data_info(self._position(idx))

    def __getitem__(self, idx):
        """One image after the pipeline."""
        return self.inner[self._position(idx)]

    def _position(self, idx):
        if idx >= len(self):
            raise IndexError(idx)
        return self.positions[idx % len(self.positions)]
