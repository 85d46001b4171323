"""Damages files and looks at what becomes of whoever reads them."""
import contextlib
import io
import random
import signal
import traceback
from collections import Counter

from mutator import Mutator

from gslora_mm.utils.tool import run_tool

_CPU_SECONDS, _SECONDS = 20, 300


class Hang(BaseException):
    """An input that takes too long."""


class Fuzzer:
    """Runs damaged inputs through their readers.

    Args:
        targets (Targets): What there is to damage, and who reads it.
        seed (int): Seed of all damage.

    Attributes:
        counts (dict[str, Counter]): Outcomes by format.
        failures (list[str]): What went wrong, with the seed that shows it.
    """

    def __init__(self, targets, seed=0):
        self.targets, self.seed = targets, seed
        self.counts = {name: Counter() for name in targets.formats}
        self.failures = []

    def run(self, count):
        """Try inputs, the formats in turn.

        Args:
            count (int): How many.
        """
        names = list(self.targets.formats)
        self.before = self._files()
        for number in range(count):
            self.one(names[number % len(names)], number)

    def one(self, name, number):
        """Try one input.

        Args:
            name (str): Its format.
            number (int): Which it is.
        """
        rng = random.Random(f'{self.seed} {name} {number}')
        path, kind, readers = rng.choice(self.targets.formats[name])
        reader = rng.choice(readers)
        whole = path.read_bytes()
        other = rng.choice(self.targets.formats[rng.choice(
            list(self.targets.formats))])[0].read_bytes()
        path.write_bytes(Mutator(rng)(whole, kind, other))
        try:
            outcome = self._outcome(reader, path)
        finally:
            path.write_bytes(whole)
        if self._files() != self.before:
            outcome = 'files were lost, changed or left'
            self.before = self._files()
        self.counts[name][outcome.split(':')[0]] += 1
        if outcome not in ('read', 'refused'):
            self.failures.append(f'{name} {number} {path.name} '
                                 f'{reader.__name__}: {outcome}')

    def _outcome(self, reader, path):
        out, err = io.StringIO(), io.StringIO()
        with _limited(), contextlib.redirect_stdout(
                out), contextlib.redirect_stderr(err):
            try:
                run_tool(lambda: reader(path))
            except SystemExit as end:
                line = str(end.code)
                good = line.startswith('error: ') and len(
                    line.splitlines()) == 1 and len(line) < 2100
                return 'refused' if good else f'bad message: {line[:300]!r}'
            except Hang:
                return 'hang'
            except BaseException:
                return f'traceback: {traceback.format_exc()[-1500:]}'
        # What is printed must be fit for a strict terminal.
        out.getvalue().encode()
        return 'read'

    def _files(self):
        """Names and content of all files that must stay as they are."""
        roots = (self.targets.run, self.targets.data / 'annotations')
        return {
            p: (p.stat().st_size, hash(p.read_bytes()))
            for root in roots
            for p in root.rglob('*') if p.is_file()
        }


@contextlib.contextmanager
def _limited():

    def stop(*_):
        raise Hang

    old = [signal.signal(s, stop) for s in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, _CPU_SECONDS)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), old):
            signal.signal(number, handler)
