"""Reading foreign files as untrusted input."""
import re
from pathlib import Path

import torch

from ..utils import ForgetError, shown
from ..utils.safe_load import grown_tensor, load_safely, plain_tensor

# Where trainers keep the weights when they save more than these.
_NESTED = ('state_dict', 'model')


def read_foreign_state(path):
    """Read the state dict of a checkpoint of any origin.

    Args:
        path (str | Path): A local file.

    Returns:
        dict: Its state dict, on the CPU and otherwise as it is.

    Raises:
        ForgetError: If it does not exist, cannot be read without running
            code from it, or holds no state dict.
    """
    if '://' in str(path):
        raise ForgetError(f'{path} is an address; download the file and name '
                          'the copy')
    if not Path(path).is_file():
        raise ForgetError(f'checkpoint {path} does not exist; correct the '
                          'path')
    try:
        size = Path(path).stat().st_size
        content = load_safely(path, size)
    except Exception as err:  # damaged pickles raise all sorts
        reason = str(err).strip().splitlines() or [type(err).__name__]
        raise ForgetError(
            f'{path} is not a checkpoint that can be read safely '
            f'({shown(reason[0])}); name a .pth file, whole and holding '
            'weights only: torch.save(model.state_dict(), FILE)') from err
    for name in _NESTED:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict) or not any(
            isinstance(v, torch.Tensor) for v in content.values()):
        raise ForgetError(f'{path} is not a checkpoint: it holds no state '
                          'dict of tensors; name a .pth file with the '
                          'model.state_dict()')
    tensors = {k: v for k, v in content.items() if torch.is_tensor(v)}
    odd = [k for k, v in tensors.items() if not plain_tensor(v)]
    odd = odd or [grown_tensor(tensors, size)]
    if odd[0] is not None:
        raise ForgetError(f'{path} cannot be converted: {shown(odd[0])} is '
                          'sparse, quantised, on a device or far larger than '
                          'the file; save a plain model.state_dict()')
    return content


def read_rows(text):
    """Read a selection of head rows from the command line or a file.

    Args:
        text (str): Row numbers separated by commas or blanks, or the name of
            a file that holds them so, or as a JSON list.

    Returns:
        list[int]: The rows, in the order given.

    Raises:
        ForgetError: If there is something else than numbers.
    """
    where = '--rows'
    if Path(text).is_file():
        where = text
        try:
            text = Path(text).read_text(encoding='utf-8')
        except UnicodeDecodeError as err:
            raise ForgetError(f'{where} is no text file; write one row '
                              'number per line') from err
    words = re.findall(r'[^\s,]+', text.strip().strip('[]'))
    bad = [word for word in words if not re.fullmatch(r'[0-9]{1,9}', word)]
    if bad or not words:
        what = f'{bad[0]!r} is no row number' if bad else 'there are none'
        raise ForgetError(f'rows cannot be read from {where}: {what}; give a '
                          'file or a list such as 0,7,12, counted from 0')
    return [int(word) for word in words]
