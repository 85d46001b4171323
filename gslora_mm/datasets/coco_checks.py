"""COCO annotation files against their images and the class list."""
import os
import os.path as osp

from ..utils.errors import ForgetError
from .data_checks import check_content, read_annotations


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
    except (KeyError, TypeError) as err:
        raise ForgetError(f'{path} has an entry without or with a bad '
                          f'{err}; every image needs id, file_name, width '
                          'and height, every annotation image_id, '
                          'category_id and bbox') from err
    missing = _not_on_disk(folder, wanted)
    if missing:
        raise ForgetError(
            f'{len(missing)} of {len(wanted)} images of {path} are not on '
            f'disk, e.g. {osp.join(folder, sorted(missing)[0])}; restore '
            'them or correct data_root and data_prefix.img')


def _not_on_disk(folder, names):
    # One listing is far quicker than a look at each of 118,000 files.
    if osp.isdir(folder) and all('/' not in name for name in names):
        with os.scandir(folder) as entries:
            return names - {e.name for e in entries}
    return {n for n in names if not osp.isfile(osp.join(folder, n))}
