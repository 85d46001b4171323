"""The config of a run as its folder holds it: data, which runs nothing."""
import mmengine.registry
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope

from .. import registry as own_registries
from ..engine.config_file import config_content, read_config
from ..engine.run_record import RECORD, differing_keys
from ..utils import ForgetError

_SCOPES = ('mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'gslora_mm')
# What JSON made a list of and the transforms take as a tuple only.
_PAIRS = ('scale', 'scales', 'size', 'crop_size', 'img_scale')
# Of what is in a config, what is built to predict and to measure.
_BUILT = ('model', 'data_preprocessor', 'train_dataloader', 'val_dataloader',
          'forget')
# What decides whether predictions and class sets are the same.
_SAME = ('model', 'forget')
_CURE = 'name the config of the run with --config FILE'


def config_of(record, work_dir, path=None):
    """The config that a run was started with.

    Args:
        record (dict): Content of ``run.json``.
        work_dir (str | Path): Folder of the run, for messages.
        path (str, optional): The config file; it may name other data, not
            another model or other requests. Without it the config is that
            of the record, in which only types that the libraries register
            are built: a record is data, and nobody's code.

    Returns:
        Config: The config.

    Raises:
        ForgetError: If there is none, it is another run's, or it names
            types or modules that are nobody's.
    """
    content = record.get('config')
    if not isinstance(content, dict) or not isinstance(
            content.get('model'), dict):
        raise ForgetError(f'{work_dir}/{RECORD} holds no config of a run; '
                          'restore it')
    if path is None:
        return _from_record(content, work_dir)
    cfg = read_config(path)
    given = config_content(cfg)
    changed = differing_keys({k: content.get(k)
                              for k in _SAME},
                             {k: given.get(k)
                              for k in _SAME})
    if changed:
        raise ForgetError(f'{path} is not the config that {work_dir} was '
                          f'trained with (different: '
                          f'{", ".join(changed[:5])}); name that one')
    return cfg


def _from_record(content, work_dir):
    source = f'{work_dir}/{RECORD}'
    _check_imports(content.get('custom_imports') or {}, source)
    import mmdet.registry
    import mmdet.utils
    import mmpretrain.registry
    import mmpretrain.utils
    mmdet.utils.register_all_modules(init_default_scope=False)
    mmpretrain.utils.register_all_modules(init_default_scope=False)
    built = {k: content[k] for k in _BUILT if k in content}
    known = _registered(mmdet.registry, mmpretrain.registry)
    _check_types(built, known, source)
    cfg = Config(_with_tuples(content))
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return cfg


def _check_imports(section, source):
    listed = section.get('imports', []) if isinstance(section,
                                                      dict) else [section]
    for module in [listed] if isinstance(listed, str) else listed:
        if str(module).split('.')[0] not in _SCOPES:
            raise ForgetError(f'{source} imports {module!r}, which is not '
                              f'done from a record; {_CURE}')


def _registered(*modules):
    """Names of all that configs may build."""
    pending = [
        value for module in (mmengine.registry, own_registries, *modules)
        for value in vars(module).values() if isinstance(value, Registry)
    ]
    names = set()
    while pending:
        registry = pending.pop()
        registry.import_from_location()
        names.update(registry.module_dict)
        pending += registry.children.values()
    return names


def _check_types(node, known, source):
    """Refuse types that a registry would have to import by their path."""
    if isinstance(node, dict):
        kind = node.get('type')
        if isinstance(kind, str):
            scope, _, name = kind.rpartition('.')
            if name not in known or (scope and scope not in _SCOPES):
                raise ForgetError(f'{source} names the type {kind!r}, which '
                                  f'no library registers; {_CURE}')
        node = node.values()
    elif not isinstance(node, list):
        return
    for value in node:
        _check_types(value, known, source)


def _with_tuples(node, key=None):
    if isinstance(node, dict):
        return {k: _with_tuples(v, k) for k, v in node.items()}
    if isinstance(node, list):
        numbers = node and all(isinstance(v, (int, float)) for v in node)
        if key in _PAIRS and numbers:
            return tuple(node)
        return [_with_tuples(v, key) for v in node]
    return node
