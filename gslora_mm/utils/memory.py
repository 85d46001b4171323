"""Peak memory of a stretch of work."""
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
