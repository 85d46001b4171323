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
# By hand it also runs where the package is not installed.
sys.path.insert(0, str(REPO))
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

    def __init__(self,
                 config,
                 work_dir,
                 reference,
                 duration,
                 options=(),
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
        done, found = 0, []
        folder = self._next_folder()
        # So that about two rounds see all the kills.
        longest = self.duration * min(1, 4 / kills)
        while done < kills:
            moment = self._moment(folder) if done % 2 else None
            where = self._kill(folder, moment, self.rng.uniform(0, longest))
            if where:
                done += 1
                print(f'kill {done}/{kills}: {where}', flush=True)
                continue
            print(f'round {self.rounds} finished before the kill', flush=True)
            found += differences(self.reference, folder)
            folder = self._next_folder()
        if start(self.config, folder, self.options).wait():
            raise SystemExit(f'tools/train.py failed, see {folder}.log')
        return found + list(differences(self.reference, folder))

    def _moment(self, folder):
        """A file that does not exist yet, or will again."""
        return self.rng.choice(
            [m for m in MOMENTS if '*' in m or not (folder / m).exists()])

    def _next_folder(self):
        self.rounds += 1
        return self.work_dir / f'round_{self.rounds}'

    def _kill(self, folder, moment, delay):
        """Start the run and kill it; None if it ended before.

        Args:
            folder (Path): Its folder.
            moment (str | None): Kill when such a file appears.
            delay (float): Else, seconds after the first sign of life; now
                and then, after the start.
        """
        sign = moment or ('.' if self.rng.random() < .2 else '*/*/*.log')
        known = set() if sign == '.' else set(folder.glob(sign))
        process, alive, where = start(self.config, folder,
                                      self.options), None, None
        while process.poll() is None and where is None:
            new = set() if sign == '.' else set(folder.glob(sign)) - known
            if new and moment:
                where = f'when {min(new).relative_to(folder)} appeared'
            elif new or sign == '.':
                alive = alive or time.time()
                if time.time() - alive > delay:
                    where = f'{delay:.1f} s after it began'
            time.sleep(_POLL)
        if process.poll() is not None:
            if process.returncode:
                raise SystemExit(f'tools/train.py failed, see {folder}.log')
            return None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f'{where}; {_progress(folder)}'


def start(config, folder, options=()):
    """Start tools/train.py, resuming whatever is there.

    Returns:
        Popen: The process, leader of a group of its own.
    """
    command = [
        sys.executable, REPO / 'tools/train.py', config, '--work-dir', folder,
        '--resume'
    ]
    if options:
        command += ['--cfg-options', *options]
    env = dict(os.environ)
    env['PYTHONPATH'] = os.pathsep.join(
        filter(None, [str(REPO), env.get('PYTHONPATH')]))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f'{folder}.log', 'a') as log:
        return subprocess.Popen([str(part) for part in command],
                                cwd=REPO,
                                env=env,
                                stdout=log,
                                stderr=log,
                                start_new_session=True)


def differences(reference, folder):
    """Compare the results of two runs.

    Yields:
        str: What differs.
    """
    for expected in sorted(Path(reference).glob('request_*/metrics.json')):
        request = expected.parent.name
        for name in COMPARED:
            one, two = (
                json.loads((Path(f) / request / name).read_text())
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
    parser.add_argument(
        '--work-dir',
        type=Path,
        required=True,
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
