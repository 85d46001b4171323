"""Reading dataset configs."""
import os.path as osp

from mmengine.registry import DATASETS

from ..utils import ForgetError


def plain_dataset(cfg):
    """The innermost dataset config, inside any wrappers."""
    while 'dataset' in cfg:
        cfg = cfg['dataset']
    return cfg


def dataset_class(data):
    """The class of a dataset config, looked up in its scope or the default.

    Raises:
        ForgetError: If there is none of that name.
    """
    with DATASETS.switch_scope_and_registry(data.get('_scope_')) as registry:
        found = registry.get(str(data.get('type')))
    if found is None:
        raise ForgetError(f'dataset type {data.get("type")!r} is not '
                          'registered; correct it or add its module to '
                          'custom_imports')
    return found


def type_name(cfg):
    """str: Name of the class of a config, without its scope."""
    kind = cfg.get('type')
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]


def annotation_file(dataset):
    """Path of a dataset config's annotation file."""
    dataset = plain_dataset(dataset)
    return osp.join(dataset.get('data_root') or '', dataset['ann_file'])
