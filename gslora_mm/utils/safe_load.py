"""Loading checkpoints as untrusted input under torch >= 2.6."""
import re
import warnings
import zipfile
from pickle import UnpicklingError

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

# Numbers and strings: no objects, no fields, no sub-arrays.
_PLAIN_TYPE = re.compile(r'(b1|[iu][1248]|f(2|4|8)|c(8|16)|[SU]\d{1,6})')
_BYTE_ORDERS = ('<', '>', '|', '=')
_STATISTICS = ('min', 'max', 'current', 'mean')
# What a zip file says of itself, and what an expanded tensor may add.
_SLACK = 1 << 20
_MAX_GROWTH = 64


class _PlainType:
    """Stands for ``numpy.dtype`` in a checkpoint: a number or a string.

    The state of a real one can be made to say that bytes are pointers.
    """
    dtype = None

    def __init__(self, kind, align=False, copy=True):
        if isinstance(kind, bytes):
            kind = kind.decode('ascii')
        if not isinstance(kind, str) or not _PLAIN_TYPE.fullmatch(kind):
            raise UnpicklingError(f'arrays of {kind!r} are refused')
        self.dtype = np.dtype(kind)

    def __setstate__(self, state):
        """Take the byte order, and nothing else."""
        order = state[1]
        if isinstance(order, bytes):
            order = order.decode('ascii')
        if self.dtype is None or order not in _BYTE_ORDERS or any(
                part is not None for part in state[2:5]):
            raise UnpicklingError('a type of arrays is not plain')
        self.dtype = self.dtype.newbyteorder(order)


class _PlainArray(np.ndarray):
    """Stands for ``numpy.ndarray`` in a checkpoint: plain numbers only."""

    def __new__(cls, *args):
        """An empty array, whatever is asked."""
        return np.ndarray.__new__(cls, (0, ), 'b1')

    def __setstate__(self, state):
        """Fill it, if shape and content belong together."""
        _, shape, kind, fortran, raw = state
        dtype = _dtype_of(kind)
        if not isinstance(raw, bytes) or any(not isinstance(n, int) or n < 0
                                             for n in shape):
            raise UnpicklingError('an array is not plain')
        super().__setstate__((1, tuple(shape), dtype, bool(fortran), raw))

    def __reduce__(self):
        """Pickled as the array of numpy that it is."""
        return self.view(np.ndarray).__reduce__()


class _CheckedHistory(HistoryBuffer):
    """Stands for mmengine's history in a checkpoint, and becomes one.

    mmengine would enter whatever the file brings among the statistics of
    every history of the process.
    """

    def __setstate__(self, state):
        """Take the two arrays and their limit."""
        limit = state.get('max_length', 1000000)
        found = [state.get(k) for k in ('_log_history', '_count_history')]
        if not isinstance(limit, int) or any(not isinstance(a, np.ndarray)
                                             for a in found):
            raise UnpicklingError('a history of mmengine is not whole')
        self.max_length = limit
        self._log_history, self._count_history = (
            np.array(a).view(np.ndarray) for a in found)
        self._set_default_statistics()
        self.__class__ = HistoryBuffer


def _dtype_of(kind):
    if not isinstance(kind, _PlainType) or kind.dtype is None:
        raise UnpicklingError('an array has no plain type')
    return kind.dtype


def _reconstruct(*_):
    """Stands for numpy's function of that name."""
    return _PlainArray()


def _scalar(kind, raw):
    """Stands for numpy's function of that name."""
    dtype = _dtype_of(kind)
    if not isinstance(raw, bytes) or len(raw) != dtype.itemsize:
        raise UnpicklingError('a number is not whole')
    return np.frombuffer(raw, dtype)[0]


def _attribute(owner, name):
    """Stands for ``getattr``, with which any code could be run.

    mmengine's histories name their statistics by it, which they have
    already; nobody uses what is returned.
    """
    if owner is not _CheckedHistory or name not in _STATISTICS:
        raise UnpicklingError(f'getattr of {name!r} is refused')


def allow_mmengine_globals():
    """Let ``torch.load(weights_only=True)`` read mmengine's checkpoints.

    mmengine stores its message hub (:class:`HistoryBuffer`, numpy arrays and
    scalars) beside the weights. For each name that occurs in them a stand-in
    of this module is called, which makes what it stands for or refuses. The
    real ones would not be safe: ``getattr`` alone suffices to run any code,
    since torch's own list has a function that calls what it is given.
    """
    stand_ins = {
        'mmengine.logging.history_buffer.HistoryBuffer': _CheckedHistory,
        'numpy.ndarray': _PlainArray,
        'numpy.dtype': _PlainType,
        'builtins.getattr': _attribute
    }
    # Files pickled under numpy 1 have it without the underscore.
    for core in ('numpy._core', 'numpy.core'):
        stand_ins[f'{core}.multiarray._reconstruct'] = _reconstruct
        stand_ins[f'{core}.multiarray.scalar'] = _scalar
    torch.serialization.add_safe_globals(
        [slice, *((v, k) for k, v in stand_ins.items())])


def load_safely(source, size=None):
    """Load a checkpoint without running anything from it.

    Args:
        source (str | Path | BytesIO): The file.
        size (int, optional): Its size in bytes, without which it is not
            checked that the content is in proportion.

    Returns:
        object: What it holds, on the CPU.

    Raises:
        Exception: Of many kinds, if it is damaged or would run code.
    """
    _check_records(source, size)
    with warnings.catch_warnings():
        # Of a damaged file torch notes what it finds odd.
        warnings.simplefilter('ignore')
        return torch.load(source, map_location='cpu', weights_only=True)


def _check_records(source, size):
    """A checkpoint is never compressed: what grows is a bomb."""
    if size is None or not zipfile.is_zipfile(source):
        return
    with zipfile.ZipFile(source) as archive:
        total = sum(info.file_size for info in archive.infolist())
    if total > size:
        raise UnpicklingError(f'{size} bytes would unpack to {total}')


def plain_tensor(tensor):
    """Whether a tensor lies in memory, entry by entry.

    Args:
        tensor (Tensor): Of a checkpoint.

    Returns:
        bool: False if it is sparse, quantised, of no storage (``meta``) or
        of a subclass: nothing of ours could digest it.
    """
    return (type(tensor) in (torch.Tensor, torch.nn.Parameter)
            and tensor.layout is torch.strided and tensor.device.type == 'cpu'
            and not tensor.is_quantized and not tensor.is_nested)


def grown_tensor(tensors, size):
    """Find a tensor that is far larger than the file it comes from.

    One number can be made to stand for any size (stride 0).

    Args:
        tensors (dict[str, Tensor]): Of one file.
        size (int): Size of the file in bytes.

    Returns:
        str | None: Name of the first with which they are out of proportion.
    """
    total = 0
    for name, tensor in tensors.items():
        total += tensor.numel() * tensor.element_size()
        if total > _SLACK + _MAX_GROWTH * size:
            return name
    return None
