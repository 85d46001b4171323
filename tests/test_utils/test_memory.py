"""What becomes of freed memory, counted in page faults by the system."""
import os
import subprocess
import sys

import pytest

_COUNT = """
import resource
import sys
import torch
from gslora_mm.utils.memory import keep_freed_memory
if sys.argv[1] == 'keep':
    keep_freed_memory()
# What lies above a freed tensor is settled after a few.
for i in range(12):
    if i == 8:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(12 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
# Four tensors of 48 MB, in pages of 4 kB.
_TOUCHED = 4 * 12288


def _faults(mode, **environment):
    env = {k: v for k, v in os.environ.items() if not k.startswith('MALLOC_')}
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', _COUNT, mode],
                          env={
                              **env,
                              **environment
                          },
                          capture_output=True,
                          text=True,
                          check=True)
    return int(done.stdout)


@pytest.mark.skipif(
    not hasattr(os, 'confstr')
    or 'glibc' not in (os.confstr('CS_GNU_LIBC_VERSION') or ''),
    reason='needs glibc')
def test_freed_memory_is_used_again():
    plain = _faults('plain')
    if plain < _TOUCHED / 2:
        pytest.skip('this system does not return freed memory anyway')
    assert _faults('keep') < plain / 10
    # Whoever sets glibc's own variables has decided otherwise.
    assert _faults('keep', MALLOC_ARENA_MAX='1') > plain / 2
