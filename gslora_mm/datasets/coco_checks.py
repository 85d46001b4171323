"""COCO annotation files against their images and the class list."""
import os.path as osp

from ..utils.errors import ForgetError
from .data_checks import check_content, not_on_disk, read_annotations


def check_coco(path, folder, classes):
    """Check one COCO annotation file against its images and classes.

    Raises:
        ForgetError: If it is damaged, refers to unknown categories or
            images, lacks classes of the model, or images are not on disk.
    """
    content = read_annotations(path)
    try:
        check_content(content, classes, path)
        wanted = {i['file_name'] for i in content['images']}
        missing = not_on_disk(osp.join(folder, n) for n in sorted(wanted))
    except (KeyError, TypeError) as err:
        raise ForgetError(f'{path} has an entry without or with a bad '
                          f'{err}; every image needs id, file_name, width '
                          'and height, every annotation image_id, '
                          'category_id and bbox') from err
    if missing:
        raise ForgetError(
            f'{len(missing)} of {len(wanted)} images of {path} are not on '
            f'disk, e.g. {missing[0]}; restore them or correct data_root and '
            'data_prefix.img')
