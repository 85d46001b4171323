"""The one config that a method needs to be compared."""
from dataclasses import dataclass
from pathlib import Path

from ...utils import ForgetError
from ..config_checks import refuse_unknown
from ..method_class import method_flag
from ..study.axes import read_axis, read_options
from ..study.config import read_plain
from ..tasks import task_of

_KEYS = ('title', 'method', 'train', 'model', 'options', 'search',
         'custom_imports')
_NO_LORA = ('forget.lora', 'forget.group', 'forget.ema')


@dataclass(frozen=True)
class MethodFile:
    """A method as it is compared.

    Args:
        name (str): Name of its file, which is part of the names of folders.
        title (str): What tables call it.
        options (dict): What it changes in the base config, as in
            ``--cfg-options``.
        search (list[Axis]): What is tuned; empty if nothing is.
    """
    name: str
    title: str
    options: dict
    search: list


def read_method(path, base, comparison=None):
    """Read the config of a method.

    ::

        title = 'EWC'
        # In the place of the base's method, and of its options of the loss
        # (forget.model); without it, the base's own method stays, and what
        # it trains.
        method = dict(type='EWC')
        train = 'all'                  # as forget.train; default LoRA
        model = dict(aux_loss=True)    # as forget.model
        options = {'train_cfg.max_epochs': 6}
        custom_imports = dict(imports=['my_module'])  # beside the base's
        search = dict(                 # axes as those of a study
            lr=dict(option='optim_wrapper.optimizer.lr', values=[...]))
        # The same keys, for one task or for one comparison by its name.
        per_task = dict(detection=dict(...), vit_faces=dict(...))

    What trains without LoRA, or does not train, needs no word on LoRA.

    Args:
        path (Path): The file.
        base (Config): The config that it is compared on.
        comparison (str, optional): Name of the comparison's file.

    Returns:
        MethodFile: The method for this task.

    Raises:
        ForgetError: If something is missing, unknown or no option.
    """
    path = Path(path)
    content, where = read_plain(path, 'method'), f'method {path}'
    task = type(task_of(base)).__name__.lower()
    content = _for_task(content, (task, comparison), where)
    if not isinstance(content.get('title'), str):
        raise ForgetError(f'{where} has no title; give what tables shall '
                          "call it, e.g. title='EWC'")
    options = {**_options(content, base, where),
               **read_options(content.get('options', {}),
                              f'options of {where}')}  # yapf: disable
    mine = (content.get('custom_imports') or {}).get('imports', [])
    if mine:
        known = (base.get('custom_imports') or {}).get('imports', [])
        options['custom_imports.imports'] = [*known, *mine]
    search = _read_search(content.get('search', {}), path.parent, where)
    return MethodFile(path.stem, content['title'], options, search)


def _for_task(content, names, where):
    """The content with the changes that it has under some names."""
    others = content.pop('per_task', {})
    refuse_unknown(where, content, _KEYS)
    for name in names:
        changes = others.get(name, {}) if isinstance(others, dict) else None
        if not isinstance(changes, dict):
            raise ForgetError(f'per_task of {where} must be a dict of dicts, '
                              "e.g. dict(detection=dict(train='all'))")
        refuse_unknown(f'per_task.{name} of {where}', changes, _KEYS[1:])
        content = _merged(content, changes)
    return content


def _merged(content, changes):
    """Content with the changes of a task; dicts key by key."""
    merged = dict(content)
    for key, value in changes.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = {**old, **value} if both else value
    return merged


def _options(content, base, where):
    """Options for the method itself and for what it trains."""
    method, train = content.get('method'), content.get('train')
    if method is not None and not (isinstance(method, dict)
                                   and method.get('type')):
        raise ForgetError(f"method of {where} must be a dict with 'type', "
                          "e.g. dict(type='EWC', penalty=10)")
    options, forget = {'forget.train': train}, base.get('forget') or {}
    if method is None and train is None:
        # The base's own method trains what the base says.
        options = {}
    if method is not None:
        # The losses of a base config are shaped for its own method.
        options['forget.method'] = _whole(method, forget.get('method'))
        options['forget.model'] = _whole(
            content.get('model') or {}, forget.get('model'))
    elif content.get('model') is not None:
        options['forget.model'] = _whole(content['model'], forget.get('model'))
    idle = not method_flag(method or forget.get('method') or {}, 'trains')
    if idle or train not in (None, 'lora'):
        options.update(dict.fromkeys(_NO_LORA))
    return options


def _whole(value, old):
    """A dict that takes the place of another one, if there is one."""
    # mmengine leaves the mark where it has nothing to delete.
    return dict(value, _delete_=True) if isinstance(old, dict) else value


def _read_search(axes, folder, where):
    """Axes of a search change options alone, each its own."""
    if not isinstance(axes, dict):
        raise ForgetError(f'search of {where} must be a dict of axes, as '
                          "dict(lr=dict(option='optim_wrapper.optimizer.lr',"
                          ' values=[1e-4, 1e-3]))')
    search = [
        read_axis(str(name), axis, folder) for name, axis in axes.items()
        if axis is not None
    ]
    owner = {}
    for axis in search:
        if axis.prepare or axis.files:
            raise ForgetError(f'axis {axis.name!r} of the search of {where} '
                              'has files or prepare; only options are tuned')
        for key in {k for v in axis.values.values() for k in v}:
            if owner.setdefault(key, axis.name) != axis.name:
                raise ForgetError(f'axes {owner[key]!r} and {axis.name!r} of '
                                  f'the search of {where} both set {key}')
    return search
