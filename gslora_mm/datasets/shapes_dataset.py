"""The generated shapes as an mmdet dataset."""
from mmdet.datasets import CocoDataset

from ..registry import DATASETS
from .shapes import SHAPES
from .shapes_files import ensure_shapes


@DATASETS.register_module()
class ShapesDataset(CocoDataset):
    """`CocoDataset` over the generated shapes, made on first use.

    Args:
        data_root (str): Where the images are or will be.
        recipe (dict, optional): Arguments of
            :func:`~gslora_mm.datasets.shapes_files.ensure_shapes`. Defaults to
            the set that the shipped checkpoint was trained on.
        **kwargs: Arguments of ``CocoDataset``.
    """

    METAINFO = dict(classes=SHAPES)

    def __init__(self, *args, data_root, recipe=None, **kwargs):
        self.prepare(dict(data_root=data_root, recipe=recipe))
        super().__init__(*args, data_root=data_root, **kwargs)

    @staticmethod
    def prepare(cfg):
        """Write the files of a dataset config unless they are there.

        Args:
            cfg (dict): The config; ``data_root`` and ``recipe`` are read.
        """
        ensure_shapes(cfg['data_root'], **(cfg.get('recipe') or {}))
