"""Loading checkpoints as untrusted input under torch >= 2.6."""
import numpy as np
import torch
from mmengine.logging import HistoryBuffer


def allow_mmengine_globals():
    """Let ``torch.load(weights_only=True)`` read mmengine's checkpoints.

    mmengine stores its message hub (:class:`HistoryBuffer`, numpy arrays and
    scalars) beside the weights. These types, and no other, are added to
    torch's allow-list; nothing in them runs code.
    """
    multiarray = np._core.multiarray
    kinds = {type(np.dtype(c)) for c in '?bhilqBHILQefdSU'}
    torch.serialization.add_safe_globals([
        HistoryBuffer,
        np.ndarray,
        np.dtype,
        multiarray.scalar,
        multiarray._reconstruct,
        getattr,
        slice,
        *kinds,
        # How files pickled under numpy 1 call the same functions.
        (multiarray._reconstruct, 'numpy.core.multiarray._reconstruct'),
        (multiarray.scalar, 'numpy.core.multiarray.scalar')
    ])
