"""Peak memory of a stretch of work, and what becomes of freed memory."""
import ctypes
import os
from pathlib import Path

import torch


def resident_mb(key):
    """A size in MiB from ``/proc/self/status``; NaN where there is none.

    ``VmRSS`` is the resident size now, ``VmHWM`` its peak. (``getrusage``
    would give the peak of the parent process as ours.)
    """
    try:
        lines = Path('/proc/self/status').read_text().splitlines()
    except OSError:
        return float('nan')
    for line in lines:
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    return float('nan')


def reset_peak_memory():
    """Let the peak start anew, where the system allows it."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path('/proc/self/clear_refs').write_text('5')
    except OSError:
        pass


def peak_memory_mb():
    """Peak since the reset in MiB: of the GPU, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resident_mb('VmHWM')


# Keys of glibc's mallopt, malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory():
    """Let the process reuse freed memory instead of returning it.

    By default glibc maps every large tensor anew, and the system clears its
    pages at the first touch: on a CPU that costs more than many operations
    on the tensor. The resident size then stays at its peak. Nothing is done
    without glibc, or where the environment sets ``MALLOC_*`` itself.
    """
    if any(key.startswith('MALLOC_') for key in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
