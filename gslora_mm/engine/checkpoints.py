"""Reading checkpoints as untrusted input; writing merged ones."""
import io
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine import fileio

from ..lora import is_lora_key
from ..models.extras import plain_part
from ..utils import COUNT, ForgetError, check_form, shown, write_torch
from ..utils.safe_load import grown_tensor, load_safely, plain_tensor

_NAMED = 4
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# What our own checkpoints say of themselves.
_META = {
    'request?': COUNT,
    'classes?': [str],
    'forgotten?': [str],
    'base_fingerprint?': str,
    'merged_fingerprint?': str
}


def load_plain_state(path):
    """Load the state dict of a plain checkpoint.

    Args:
        path (str | Path): A local file, or a URL that mmengine can fetch.

    Returns:
        tuple[dict[str, Tensor], dict]: CPU tensors and the ``meta`` of the
        checkpoint (empty if it has none).

    Raises:
        ForgetError: If it cannot be read, is no checkpoint, or still carries
            LoRA weights.
    """
    content, size = _read(str(path))
    state = content.get('state_dict', content) if isinstance(content,
                                                             dict) else None
    if not isinstance(state, dict) or not any(
            isinstance(v, torch.Tensor) for v in state.values()):
        raise ForgetError(f'{path} is not a checkpoint: it holds no state '
                          'dict of tensors; name a .pth file')
    meta = content.get('meta', {}) if state is not content else {}
    state = _plain_state(state, path, size)
    lora = [k for k in state if is_lora_key(k)]
    if lora:
        raise ForgetError(
            f'{path} still carries LoRA weights ({shown(lora[0])}, ...), '
            'adding them again would double the update; use merged.pth '
            'instead')
    meta = meta if isinstance(meta, dict) else {}
    check_form(meta, {'gslora?': _META}, f'the meta of {path}')
    return state, meta


def _plain_state(state, path, size):
    """Checked tensors by key, without what a wrapper put before the key."""
    found = {}
    for key, value in state.items():
        if not isinstance(value, torch.Tensor):
            continue
        if not isinstance(key, str) or not plain_tensor(value):
            raise ForgetError(
                f'{path} is not a checkpoint that can be used: {shown(key)} '
                'is no plain tensor with a name; save model.state_dict() of '
                'a model on the CPU, neither quantised nor sparse')
        name = key.removeprefix('module.')
        if name in found:
            raise ForgetError(f'{path} holds {shown(name)} twice, with and '
                              'without module.; remove one')
        found[name] = value.detach()
    grown = grown_tensor(found, size)
    if grown is not None:
        raise ForgetError(
            f'{path} is not a checkpoint that can be used: its {size} bytes '
            f'would become far larger tensors ({shown(grown)}); take the '
            'file from its source again')
    return found


def _read(path):
    """Content of a checkpoint, and the size of its file in bytes."""
    remote = '://' in path
    if not remote and not Path(path).is_file():
        raise ForgetError(f'checkpoint {path} does not exist; name one '
                          'with --cfg-options load_from=FILE')
    source = _fetched(path) if remote else path
    size = source.getbuffer().nbytes if isinstance(
        source, io.BytesIO) else Path(source).stat().st_size
    try:
        return load_safely(source, size), size
    except Exception as err:  # damaged pickles raise all sorts
        reason = str(err).strip().splitlines() or [type(err).__name__]
        raise ForgetError(
            f'{path} is not a checkpoint that can be read safely '
            f'({shown(reason[0])}); name a .pth file, whole and holding '
            'weights only') from err


def local_copy(path):
    """Where the file of a checkpoint lies.

    Args:
        path (str): A local file, or a URL that was read before.

    Returns:
        Path | None: None if its bytes are not kept on this machine.
    """
    if '://' not in str(path):
        return Path(path)
    if not str(path).startswith(('http://', 'https://')):
        return None
    return Path(_fetched(str(path)))


def _fetched(url):
    """A local copy of a remote checkpoint, or a buffer with its content.

    mmengine's own loader would unpickle it whatever it holds.
    """
    try:
        if not url.startswith(('http://', 'https://')):
            return io.BytesIO(fileio.get(url))
        folder = Path(torch.hub.get_dir()) / 'checkpoints'
        path = folder / Path(urlparse(url).path).name
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path))
        return path
    except Exception as err:  # the fetching back ends raise all sorts
        raise ForgetError(
            f'checkpoint {url} cannot be fetched ({type(err).__name__}); '
            'download it by hand and name it with --cfg-options '
            'load_from=FILE') from err


def check_state(model, state, source):
    """Check that a state dict is exactly what a plain model expects.

    Args:
        model (nn.Module): The plain model.
        state (dict[str, Tensor]): The weights.
        source (str): Where they come from, for the message.

    Raises:
        ForgetError: On missing, unexpected or misshapen weights, or such
            that are not finite.
    """
    expected = plain_part(model.state_dict())
    missing = [k for k in expected if k not in state]
    surplus = [k for k in state if k not in expected]
    shapes = [
        f'{k} {tuple(state[k].shape)} instead of {tuple(v.shape)}'
        for k, v in expected.items()
        if k in state and state[k].shape != v.shape
    ]
    kinds = [
        f'{k} {state[k].dtype} instead of {v.dtype}'
        for k, v in expected.items()
        if k in state and not _same_kind(state[k], v)
    ]
    faults = [
        f'{len(keys)} {what} ({", ".join(map(shown, keys[:_NAMED]))}'
        f'{", ..." if len(keys) > _NAMED else ""})'
        for what, keys in (('keys missing', missing), ('unknown keys',
                                                       surplus),
                           ('wrong shapes', shapes), ('wrong types', kinds))
        if keys
    ]
    if faults:
        raise ForgetError(
            f'checkpoint {source} does not fit the model of the config: '
            f'{"; ".join(faults)}; use the config it was trained with, or '
            'another checkpoint')
    _check_finite(model, state, source)


def _same_kind(found, expected):
    if expected.is_floating_point():
        return found.dtype in _FLOATS
    return not (found.is_floating_point() or found.is_complex())


def _check_finite(model, state, source):
    # A buffer may be infinite, as masks of attention are.
    trained = {name for name, _ in model.named_parameters()}
    for key, value in state.items():
        if not value.is_floating_point():
            continue
        if value.isnan().any() or key in trained and value.isinf().any():
            raise ForgetError(
                f'checkpoint {source} holds values that are not finite '
                f'({key}); take another one, from before its training '
                'diverged')


def load_into(model, state, source):
    """Load checked base weights; LoRA weights of the model stay."""
    check_state(model, state, source)
    model.load_state_dict(state, strict=False)


def save_plain(path, state, meta):
    """Write a plain checkpoint that mmdet loads without this package.

    The same weights and the same ``meta`` give the same bytes, in whatever
    process: pickle would tell equal strings from one string used twice, and
    keep all of a tensor of which a view is saved.
    """
    write_torch(path, _fresh(dict(meta=meta, state_dict=state)))


def _fresh(value):
    """A copy in which no two things are one."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, str):
        return ''.join(value)
    if isinstance(value, dict):
        return {_fresh(k): _fresh(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_fresh, value))
    return value
