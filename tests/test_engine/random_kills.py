"""kill -9 at random moments; every run must end like an undisturbed one.

    python tests/test_engine/random_kills.py --kills 100 --work-dir FOLDER

Detection and classification take turns: three requests each, killed again
and again at moments drawn over the time that the run takes undisturbed, and
resumed until it is done. Tensors are compared by their bytes, everything
else by content, releases of the runs by their digests. Exits with 1 if a
resume fails or anything differs.
"""
import argparse
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
# By hand it also runs where the package is not installed.
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / 'test_engine')]
from forked import fork, tool, wait  # noqa: E402
from results import different, results  # noqa: E402

REQUESTS = dict(
    detection=[['circle', 'star'], ['hexagon'], ['heart']],
    classification=[['coral'], ['amber'], ['jade']])
_POLL = .005
_RELEASES = 'releases/'
_RELEASE = f'{_RELEASES}request_03/release.pth'


class Disturbed:
    """A run of several requests, and what kills make of it.

    Args:
        name (str): ``'detection'`` or ``'classification'``.
        folder (Path): For its config, the undisturbed run and the others.
        rng (random.Random): Draws the moments.
    """

    def __init__(self, name, folder, rng):
        import tiny_classifier
        import tiny_run
        tiny = dict(detection=tiny_run, classification=tiny_classifier)[name]
        self.name, self.folder, self.rng = name, Path(folder) / name, rng
        self.folder.mkdir(parents=True)
        self.config = tiny.write_config(
            self.folder / 'config.py', requests=REQUESTS[name])
        self.reference, self.rounds = self.folder / 'undisturbed', 0
        # Once for the kernels that are compiled, once for the time.
        self._finish(self.folder / 'warm')
        begin = time.time()
        child = self._start(self.reference)
        while not (self.reference / 'base').is_dir():
            time.sleep(_POLL)
        self.before = time.time() - begin
        self._check(wait(child), self.reference)
        self.seconds = time.time() - begin
        self.release = self._release(self.reference)

    def round(self, kills):
        """Start a run, kill it so often, finish it.

        Returns:
            tuple[int, list[str]]: How many kills met it alive, and the files
            that differ in the end.
        """
        self.rounds += 1
        folder, done = self.folder / f'round_{self.rounds}', 0
        moments = sorted(
            self.rng.uniform(0, self.seconds) for _ in range(kills))
        # What comes before the first work is done again at every start.
        starts = [0, *(max(0, m - self.before) for m in moments)]
        for moment, reached in zip(moments, starts):
            child = self._start(folder)
            if not self._kill(child, folder, moment - reached):
                break
            done += 1
            print(f'{self.name}, round {self.rounds}, kill {done}: at '
                  f'{moment:.1f} s of {self.seconds:.1f} s; '
                  f'{_newest(folder)}', flush=True)  # yapf: disable
        self._finish(folder)
        found = [
            f'{folder}/{n}' for n in different(self.reference, folder)
            if not n.startswith(_RELEASES)
        ]
        found += [
            f'{p} was left over' for p in [*folder.rglob('.*-*')]
            if p.is_file()
        ]
        if self._release(folder) != self.release:
            found.append(f'{folder}/{_RELEASE}')
        if not found:
            shutil.rmtree(folder)
        return done, found

    def _release(self, folder):
        """Digest of the release of a finished run."""
        export = tool('export', folder, '--images', 0)
        self._check(wait(fork(export, f'{folder}.log')), folder)
        return results(folder)[_RELEASE]

    def _start(self, folder):
        from tiny_run import run_sequence
        return fork(
            lambda: run_sequence(self.config, folder, resume=True),
            f'{folder}.log',
            leads=True)

    def _finish(self, folder):
        self._check(wait(self._start(folder)), folder)

    @staticmethod
    def _check(status, folder):
        if status:
            raise SystemExit(f'a start failed with {status}, see {folder}.log')

    def _kill(self, child, folder, delay):
        """bool: Whether it was still running after so many seconds."""
        end = time.time() + delay
        while time.time() < end:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                self._check(os.waitstatus_to_exitcode(status), folder)
                return False
            time.sleep(_POLL)
        os.kill(child, signal.SIGKILL)
        wait(child)
        return True


def _newest(folder):
    """The file that was written last."""
    files = [p for p in folder.rglob('*') if p.is_file()]
    if not files:
        return 'nothing written'
    newest = max(files, key=lambda p: p.stat().st_mtime_ns)
    return f'after {newest.relative_to(folder)}'


def kill_at_random(work_dir, kills, each=4, seed=0, names=tuple(REQUESTS)):
    """Kill runs until so many kills met a living process.

    Args:
        work_dir (str | Path): A folder that does not exist yet.
        kills (int): How many.
        each (int): How many at most in a round. Defaults to 4.
        seed (int): Of the moments. Defaults to 0.
        names (Sequence[str]): Which runs. Defaults to both.

    Returns:
        list[str]: Every file that differs from the undisturbed run.
    """
    runs = [
        Disturbed(name, work_dir, random.Random(f'{seed} {name}'))
        for name in names
    ]
    done, found = 0, []
    while done < kills:
        for run in runs:
            if done < kills:
                count, wrong = run.round(min(each, kills - done))
                done, found = done + count, found + wrong
    return found


def main():
    """Parse the arguments, kill, report."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--each', type=int, default=4, help='in one run')
    parser.add_argument(
        '--work-dir',
        type=Path,
        required=True,
        help='a folder that does not exist yet')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    if args.work_dir.exists():
        parser.error(f'{args.work_dir} exists')
    found = kill_at_random(args.work_dir, args.kills, args.each, args.seed)
    for line in found:
        print(f'DIFFERENT: {line}')
    print(f'{args.kills} kills: {"DIFFERENT" if found else "all resumed runs"}'
          f'{"" if found else " identical to the undisturbed ones"}')
    sys.exit(bool(found))


if __name__ == '__main__':
    main()
