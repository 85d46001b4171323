"""COCO annotation files against their images and the class list."""
import os.path as osp

from ..utils.errors import ForgetError
from ..utils.shown import shown
from .data_checks import check_content, not_on_disk, read_annotations


def check_coco(path, folder, classes):
    """Check one COCO annotation file against its images and classes.

    Raises:
        ForgetError: If it is damaged, refers to unknown categories or
            images, lacks classes of the model, or images are not on disk.
    """
    content = read_annotations(path)
    check_content(content, classes, path)
    wanted = {i['file_name'] for i in content['images']}
    missing = not_on_disk(osp.join(folder, n) for n in sorted(wanted))
    if missing:
        raise ForgetError(
            f'{len(missing)} of {len(wanted)} images of {path} are not on '
            f'disk, e.g. {shown(missing[0])}; restore them or correct '
            'data_root and data_prefix.img')
