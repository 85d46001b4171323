"""Damaged files end in one line; nothing hangs and nothing is lost.

    python tests/fuzz/test_fuzz.py [COUNT] [SEED]
"""
import faulthandler
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fuzzer import Fuzzer  # noqa: E402
from targets import Targets  # noqa: E402


@pytest.fixture(scope='module')
def targets(tmp_path_factory):
    """A run and data that may be damaged."""
    return Targets(tmp_path_factory.mktemp('fuzz'))


def fuzz(targets, count, seed):
    fuzzer = Fuzzer(targets, seed)
    fuzzer.run(count)
    assert not fuzzer.failures, '\n'.join(fuzzer.failures[:5])
    # The damage is of both sorts: some is noticed, some does not matter.
    for name, counts in fuzzer.counts.items():
        assert counts['refused'], name
    return fuzzer


def test_some_damaged_files(targets):
    fuzz(targets, 100, seed=1)


@pytest.mark.slow
def test_many_damaged_files(targets):
    fuzz(targets, 2000, seed=2)


def main(count=2000, seed=0):
    """Try many, print what became of them."""
    faulthandler.enable()
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Targets(Path(folder)), seed)
        fuzzer.run(count)
    for name, counts in fuzzer.counts.items():
        print(f'{name:<12} {sum(counts.values()):5d} inputs: '
              f'{dict(sorted(counts.items()))}')
    print('\n\n'.join(fuzzer.failures[:12]))
    print(f'{len(fuzzer.failures)} failures')
    sys.exit(bool(fuzzer.failures))


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
