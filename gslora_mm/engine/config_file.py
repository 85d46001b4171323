"""Configs: read from a file, and told apart."""
import hashlib
import json

from mmengine.config import Config
from mmengine.registry import init_default_scope

from ..utils import ForgetError

# What may differ between a run and its continuation.
_FREE_KEYS = ('work_dir', 'launcher', 'resume', 'log_level', 'env_cfg',
              'experiment_name', 'visualizer', 'vis_backends', 'filename',
              'model_wrapper_cfg')
# Where things lie: free as well, if what lies there is the same.
_PLACES = frozenset(
    ('load_from', 'data_root', 'ann_file', 'data_prefix', 'backend_args'))


def read_config(path, options=None):
    """Read a config file and the options of the command line.

    Args:
        path (str): The config file.
        options (dict, optional): What ``--cfg-options`` gave.

    Returns:
        Config: The config.

    Raises:
        ForgetError: If the file is missing or cannot be read as a config.
    """
    try:
        cfg = Config.fromfile(path)
        if options:
            cfg.merge_from_dict(options)
    except FileNotFoundError as err:
        raise ForgetError(f'config {path} cannot be read: no file '
                          f'{err.filename}; correct the path') from err
    except (SyntaxError, KeyError, TypeError, AttributeError, ImportError,
            ValueError, OSError, AssertionError, IndexError) as err:
        reason = str(err).strip().splitlines() or ['']
        raise ForgetError(f'config {path} cannot be read: '
                          f'{type(err).__name__}: {reason[0]}; correct the '
                          'config or --cfg-options') from err
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return cfg


def plain(value):
    """Builtin containers all the way down."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def config_content(cfg):
    """What makes two configs the same run.

    Returns:
        dict: The config as plain containers, without the keys that may
        change on resume.
    """
    content = {
        k: plain(v)
        for k, v in cfg.to_dict().items() if k not in _FREE_KEYS
    }
    return json.loads(json.dumps(content, default=str, sort_keys=True))


def config_digest(content):
    """SHA-256 of :func:`config_content`, wherever data and base lie."""
    return hashlib.sha256(
        json.dumps(without_places(content),
                   sort_keys=True).encode()).hexdigest()


def without_places(value):
    """Content without the keys that say where something lies.

    Args:
        value (dict | list | Any): Of :func:`config_content`.

    Returns:
        dict | list | Any: The same without paths of data and base
        checkpoint, at any depth.
    """
    if isinstance(value, dict):
        return {
            k: without_places(v)
            for k, v in value.items() if k not in _PLACES
        }
    if isinstance(value, list):
        return [without_places(v) for v in value]
    return value
