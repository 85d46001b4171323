"""The generated shapes, one per image, as an mmpretrain dataset."""
from mmpretrain.datasets import CustomDataset

from ..registry import DATASETS
from .shapes import SHAPES, STYLED_SHAPES
from .shapes_files import ensure_shapes_folder


@DATASETS.register_module()
class ShapesFolder(CustomDataset):
    """`CustomDataset` over the generated shapes, made on first use.

    Args:
        data_root (str): Where the images are or will be.
        recipe (dict, optional): Arguments of
            :func:`~gslora_mm.datasets.shapes_files.ensure_shapes_folder`.
            Defaults to the set that the shipped checkpoint was trained on.
        **kwargs: Arguments of ``CustomDataset``, ``data_prefix='train'`` or
            ``'val'`` above all.

    Attributes:
        labels_by_name (bool): A label is the place of the folder's name in
            the class list. ``CustomDataset`` takes the place among the
            sorted folders, whatever the class list says.
    """

    METAINFO = dict(classes=SHAPES)
    labels_by_name = True
    styled = False

    def __init__(self, data_root, recipe=None, **kwargs):
        self.prepare(dict(data_root=data_root, recipe=recipe))
        super().__init__(data_root=data_root, **kwargs)

    @classmethod
    def prepare(cls, cfg):
        """Write the files of a dataset config unless they are there.

        Args:
            cfg (dict): The config; ``data_root`` and ``recipe`` are read.
        """
        ensure_shapes_folder(
            cfg['data_root'], styled=cls.styled, **(cfg.get('recipe') or {}))

    def _find_samples(self):
        samples = super()._find_samples()
        folders = sorted(self.folder_to_idx)
        self.folder_to_idx = {f: self.CLASSES.index(f) for f in folders}
        return [(path, self.folder_to_idx[folders[place]])
                for path, place in samples]


@DATASETS.register_module()
class StyledShapesFolder(ShapesFolder):
    """36 classes for long sequences: twelve shapes, each in three looks."""

    METAINFO = dict(classes=STYLED_SHAPES)
    styled = True
