from .cached_transforms import CachedTransforms
from .class_orders import (COCO_CATEGORY_IDS, coco_class_names_by_id,
                           published_class100_order, published_coco_order,
                           published_requests)
from .data_checks import full_init_checked
from .folder_checks import check_folder_data
from .forget_retain_dataset import ForgetRetainDataset
from .held_out_coco import HeldOutCoco
from .held_out_folder import HeldOutFolder
from .painted_dataset import PaintedDataset
from .painted_out import PaintedOut
from .painting import FILLS, Painter
from .relearn_dataset import RelearnDataset
from .requests import Request, check_class_names, parse_requests
from .shapes import SHAPES, STYLED_SHAPES
from .shapes_dataset import ShapesDataset
from .shapes_files import ensure_shapes, ensure_shapes_folder
from .shapes_folder import ShapesFolder, StyledShapesFolder
from .stream_sampler import StreamSampler
from .subsets import (few_shot_subset, pooled_subset, random_subset,
                      stratified_subset)
from .without_classes import WithoutClasses

__all__ = [
    'COCO_CATEGORY_IDS', 'CachedTransforms', 'FILLS', 'ForgetRetainDataset',
    'HeldOutCoco', 'HeldOutFolder', 'PaintedDataset', 'PaintedOut', 'Painter',
    'RelearnDataset', 'Request', 'SHAPES', 'STYLED_SHAPES', 'ShapesDataset',
    'ShapesFolder', 'StreamSampler', 'StyledShapesFolder', 'WithoutClasses',
    'check_class_names', 'check_folder_data', 'coco_class_names_by_id',
    'ensure_shapes', 'ensure_shapes_folder', 'few_shot_subset',
    'full_init_checked', 'parse_requests', 'pooled_subset',
    'published_class100_order', 'published_coco_order', 'published_requests',
    'random_subset', 'stratified_subset'
]
