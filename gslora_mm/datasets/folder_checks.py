"""What can be wrong with a folder-per-class data set, found before a run.

mmpretrain numbers labels by the *sorted folders* and looks at the class list
only for its length. Folders that disagree with the class list would make us
forget another class than the one requested.
"""
import os
import os.path as osp

from mmengine import list_from_file
from mmpretrain.datasets import ImageNet

from ..utils.errors import ForgetError
from .data_checks import not_on_disk
from .requests import check_class_names

_DEMO = 'python tools/train.py configs/gslora/vit_shapes_forget.py'


def check_folder_data(data, classes, key, kind, may_lack=()):
    """Check one split of a folder-per-class data set, without loading it.

    Args:
        data (dict): Config of the data set, the innermost one.
        classes (Sequence[str]): Class names of the model, in label order.
        key (str): Where ``data`` stands in the config, for the messages,
            e.g. 'train_dataloader.dataset'.
        kind (type): Class of the data set: mmpretrain's ``CustomDataset``,
            ``ImageNet`` or a subclass.
        may_lack (Iterable[str]): Classes that need no images.

    Raises:
        ForgetError: If files or folders are missing, or disagree with the
            classes.
    """
    dataset = _unloaded(data, key, kind)
    if not dataset.with_label:
        raise ForgetError(f'{key}.with_label is False, so the images have no '
                          'labels; remove it')
    named = dataset.CLASSES
    if named is not None and tuple(named) != tuple(classes):
        raise ForgetError(
            f'{key} names {len(named)} classes, but not the {len(classes)} of '
            f'the model in their order; correct {key}.metainfo.classes')
    root = dataset.img_prefix
    if '://' in root:
        return  # remote storage is not asked
    if dataset.ann_file:
        labels = _check_listed(dataset, classes, key)
    else:
        labels = _check_folders(dataset, classes, key)
    lacking = [
        name for label, name in enumerate(classes)
        if label not in labels and name not in may_lack
    ]
    if lacking:
        raise ForgetError(
            f'{len(lacking)} of {len(classes)} classes have no images in '
            f'{dataset.ann_file or root}: {_some(lacking)}; add images of '
            f'them ({", ".join(sorted(dataset.extensions))})')


def _unloaded(data, key, kind):
    """The data set with its paths resolved, but not read."""
    args = {k: v for k, v in data.items() if k not in ('type', '_scope_')}
    args.update(lazy_init=True, pipeline=())
    try:
        return kind(**args)
    except (TypeError, ValueError, AssertionError, OSError) as err:
        reason = str(err).strip().splitlines() or [type(err).__name__]
        raise ForgetError(f'{key} of the config cannot be built: {reason[0]}; '
                          'correct the config or --cfg-options') from err


def _missing(what, path, key, options):
    raise ForgetError(
        f'{what} of {key} are missing: {osp.abspath(path)} does not exist; '
        f'put the data there or set --cfg-options {options}; the generated '
        f'data runs without any download: {_DEMO}')


def _some(names, num=5):
    return ', '.join(map(str, names[:num])) + (', ...' * (len(names) > num))


def _check_folders(dataset, classes, key):
    """Labels, set[int], whose folder has an image."""
    root = dataset.img_prefix
    if not osp.isdir(root):
        _missing('images', root, key, f'{key}.data_root=FOLDER')
    with os.scandir(root) as entries:
        folders = sorted(e.name for e in entries if e.is_dir())
    if isinstance(dataset, ImageNet):
        # Its folders are WordNet ids, its classes words.
        if len(folders) != len(classes):
            raise ForgetError(
                f'{root} has {len(folders)} folders, but the model has '
                f'{len(classes)} classes; every class needs one folder, '
                'sorted as the classes are')
        order = range(len(classes))
    else:
        order = _match(dataset, folders, classes, key)
    return {
        label
        for label, folder in zip(order, folders)
        if _has_image(osp.join(root, folder), dataset.is_valid_file)
    }


def _match(dataset, folders, classes, key):
    """Label of each folder, list[int], found by its name."""
    root = dataset.img_prefix
    for folder in folders:
        check_class_names([folder], classes,
                          f'the folder {osp.join(root, folder)}')
    lacking = [name for name in classes if name not in folders]
    if lacking:
        raise ForgetError(
            f'{root} has no folder for {len(lacking)} of {len(classes)} '
            f'classes: {_some(lacking)}; add them (an empty folder for a '
            'class that shall have no images)')
    by_name = getattr(dataset, 'labels_by_name', False)
    if not by_name and folders != list(classes):
        place = [f != c for f, c in zip(folders, classes)].index(True)
        raise ForgetError(
            f'class {place} is {classes[place]!r}, but label {place} is the '
            f'folder {folders[place]!r}: labels are the places of the sorted '
            f'folders of {root}; sort {key}.metainfo.classes')
    return [classes.index(folder) for folder in folders]


def _has_image(folder, is_valid_file):
    """bool: Whether there is an image in a folder, at any depth."""
    subfolders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                subfolders.append(entry.path)
            elif not entry.name.startswith('.') and is_valid_file(entry.name):
                return True
    return any(_has_image(path, is_valid_file) for path in subfolders)


def _check_listed(dataset, classes, key):
    """Labels, set[int], in an annotation file of ``path label`` lines."""
    ann_file, root = dataset.ann_file, dataset.img_prefix
    if not osp.isfile(ann_file):
        _missing('annotations', ann_file, key,
                 f'{key}.data_root=FOLDER {key}.ann_file=FILE')
    try:
        lines = list_from_file(ann_file)
    except UnicodeDecodeError as err:
        raise ForgetError(f'{ann_file} is no text file ({err.reason}); it '
                          "needs lines of 'path label'") from err
    paths, labels = [], set()
    for number, line in enumerate(lines, 1):
        path, _, label = line.strip().rpartition(' ')
        if not path or not label.lstrip('-').isdigit():
            raise ForgetError(f'line {number} of {ann_file} is {line!r}; it '
                              "must be 'path label', label an integer")
        if not 0 <= int(label) < len(classes):
            raise ForgetError(
                f'line {number} of {ann_file} has the label {label}, but the '
                f'model has the labels 0 to {len(classes) - 1}; correct the '
                'file or the classes')
        paths.append(osp.join(root, path))
        labels.add(int(label))
    absent = not_on_disk(paths)
    if absent:
        raise ForgetError(
            f'{len(absent)} of {len(paths)} images of {ann_file} are not on '
            f'disk, e.g. {absent[0]}; restore them or correct '
            f'{key}.data_root and {key}.data_prefix')
    return labels
