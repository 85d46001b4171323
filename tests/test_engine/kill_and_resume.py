"""Kill a run again and again, resume it, compare with an undisturbed one.

    python tests/test_engine/kill_and_resume.py CONFIG --kills 10 \
        --work-dir work_dirs/kills --cfg-options train_cfg.max_epochs=2

Half of the kills come at a random moment, half right after a certain file
appears. Exits with 1 if metrics, groups or weights differ.
"""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
# Where a kill hurts; names with a leading dot are files half written.
MOMENTS = ('run.json', 'base/report.json', 'request_*/subset.json',
           'request_*/epoch_1.pth', 'request_*/epoch_2.pth',
           'request_*/adapter.safetensors', 'request_*/.*-merged.pth',
           'request_*/merged.pth', 'request_*/groups.json',
           'request_*/training.json', 'request_*/report.json',
           'request_*/metrics.json', 'summary.json')
COMPARED = ('metrics.json', 'report.json', 'subset.json')
_POLL = 0.002


class KilledRun:
    """A run of tools/train.py that is killed and resumed.

    Args:
        config (str | Path): Config of the run.
        work_dir (str | Path): Folder for the killed runs.
        reference (str | Path): Folder of an undisturbed run of the config.
        duration (float): Seconds that the undisturbed run took.
        options (list[str]): Values of ``--cfg-options``.
        seed (int): Seed of the moments.
    """

    def __init__(self, config, work_dir, reference, duration, options=(),
                 seed=0):
        self.config, self.options = config, list(options)
        self.work_dir, self.reference = Path(work_dir), Path(reference)
        self.duration, self.rng = duration, random.Random(seed)
        self.rounds = 0

    def run(self, kills):
        """Kill ``kills`` times; a run that ends too early starts anew.

        Returns:
            list[str]: Every difference from the undisturbed run.
        """
        done, differences = 0, []
        moments = self.rng.sample(MOMENTS, len(MOMENTS))
        folder = self._next_folder()
        while done < kills:
            moment = moments[done // 2 % len(moments)] if done % 2 else None
            where = self._kill_at(folder, moment)
            if where is None:
                print(f'round {self.rounds} finished before the kill',
                      flush=True)
                differences += self._differences(folder)
                folder = self._next_folder()
                if moment and moment not in ('run.json', ):
                    # It may never come again in this order.
                    done_moment = moments.index(moment)
                    moments.append(moments.pop(done_moment))
                continue
            done += 1
            print(f'kill {done}/{kills}: {where}', flush=True)
        process = start(self.config, folder, self.options)
        if process.wait():
            return differences + [f'{folder}: resume failed with '
                                  f'{process.returncode}']
        return differences + self._differences(folder)

    def _next_folder(self):
        self.rounds += 1
        return self.work_dir / f'round_{self.rounds}'

    def _kill_at(self, folder, moment):
        """Start the run and kill it; None if it ended before."""
        known = self._files(folder, moment)
        delay = self.rng.uniform(0, self.duration)
        process, begin = start(self.config, folder, self.options), time.time()
        where = None
        while process.poll() is None and where is None:
            if moment is None:
                if time.time() - begin > delay:
                    where = f'{delay:.1f} s after its start'
            else:
                new = self._files(folder, moment) - known
                if new:
                    where = f'when {min(new).relative_to(folder)} appeared'
            time.sleep(_POLL)
        if process.poll() is not None:
            if process.returncode:
                raise SystemExit(f'tools/train.py failed, see {folder}.log')
            return None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f'{where}; {_progress(folder)}'

    @staticmethod
    def _files(folder, moment):
        return set(folder.glob(moment)) if moment else set()

    def _differences(self, folder):
        return list(differences(self.reference, folder))


def start(config, folder, options=()):
    """Start tools/train.py, resuming whatever is there.

    Returns:
        Popen: The process, leader of a group of its own.
    """
    command = [sys.executable, REPO / 'tools/train.py', config, '--work-dir',
               folder, '--resume']
    if options:
        command += ['--cfg-options', *options]
    env = dict(os.environ)
    env['PYTHONPATH'] = os.pathsep.join(
        filter(None, [str(REPO), env.get('PYTHONPATH')]))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f'{folder}.log', 'a') as log:
        return subprocess.Popen(
            [str(part) for part in command], cwd=REPO, env=env, stdout=log,
            stderr=log, start_new_session=True)


def differences(reference, folder):
    """Compare the results of two runs.

    Yields:
        str: What differs.
    """
    for expected in sorted(Path(reference).glob('request_*/metrics.json')):
        request = expected.parent.name
        for name in COMPARED:
            one, two = (json.loads((Path(f) / request / name).read_text())
                        for f in (reference, folder))
            if one != two:
                yield f'{folder}/{request}/{name}'
        one, two = (_weights(Path(f) / request) for f in (reference, folder))
        if one != two:
            yield f'{folder}/{request}/merged.pth'
        one, two = (_groups(Path(f) / request) for f in (reference, folder))
        if one != two:
            yield f'{folder}/{request}/groups.json'
    left = [*Path(folder).rglob('epoch_*.pth'), *Path(folder).rglob('.*-*')]
    yield from (f'{path} was left over' for path in left)


def _weights(folder):
    import torch

    from gslora_mm.lora import fingerprint
    content = torch.load(folder / 'merged.pth', weights_only=True)
    return fingerprint(content['state_dict'])


def _groups(folder):
    return json.loads((folder / 'groups.json').read_text())


def _progress(folder):
    found = sorted(folder.glob('request_*'))
    files = sorted(p.name for p in found[-1].iterdir()
                   if p.is_file()) if found else []
    return f'{found[-1].name}: {" ".join(files)}' if found else 'no request'


def _undisturbed(config, folder, options):
    """Run to the end; returns the seconds it took."""
    begin = time.time()
    if start(config, folder, options).wait():
        raise SystemExit(f'tools/train.py failed, see {folder}.log')
    return time.time() - begin


def main():
    """Parse the arguments, kill, report."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config')
    parser.add_argument('--kills', type=int, default=10)
    parser.add_argument('--work-dir', type=Path, required=True,
                        help='a folder that does not exist yet')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--cfg-options', nargs='+', default=[])
    args = parser.parse_args()
    if args.work_dir.exists():
        parser.error(f'{args.work_dir} exists')
    reference = args.work_dir / 'reference'
    seconds = _undisturbed(args.config, reference, args.cfg_options)
    print(f'undisturbed: {seconds:.0f} s', flush=True)
    killed = KilledRun(args.config, args.work_dir, reference, seconds,
                       args.cfg_options, args.seed)
    found = killed.run(args.kills)
    for line in found:
        print(f'DIFFERENT: {line}')
    print(f'{args.kills} kills in {killed.rounds} rounds: '
          f'{"DIFFERENT" if found else "identical to the undisturbed run"}')
    sys.exit(bool(found))


if __name__ == '__main__':
    main()
