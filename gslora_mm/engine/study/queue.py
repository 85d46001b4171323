"""Running the commands of a study, some at a time."""
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rich.progress import (BarColumn, MofNCompleteColumn, Progress, TextColumn,
                           TimeElapsedColumn)

from ...utils import ForgetError, counted

LOG = 'run.log'
_POLL = 0.1
_NAMED = 3
_ROOT = Path(__file__).resolve().parents[3]
_PR_SET_PDEATHSIG = 1


def _prctl():
    try:
        return ctypes.CDLL(None).prctl
    except (AttributeError, OSError):
        return None


# Found before any fork.
_PRCTL = _prctl()


class JobQueue:
    """Runs jobs as processes of their own, and remembers what failed.

    A failing job does not stop the others, save those that need it. Who
    stops this process stops its jobs, which save what they have; it ends when
    they have. Should it be killed, they are too, so that a second start never
    meets them at work.

    Args:
        jobs (list[Job]): In the order of their start; what a job needs comes
            before it.
        tools (Path): Folder of the command line tools.
        parallel (int): How many run at a time. Defaults to 1.
        done (int): How many of the study were finished before. Defaults to
            0.

    Raises:
        ForgetError: If none may run.
    """

    def __init__(self, jobs, tools, parallel=1, done=0):
        if parallel < 1:
            raise ForgetError(f'--jobs {parallel} runs nothing; give 1 or '
                              'more')
        self.waiting, self.running = list(jobs), {}
        self.tools, self.parallel = Path(tools), parallel
        self.total, self.done = done + len(jobs), done
        self.failed, self.seconds = {}, []

    def run(self):
        """Run them all.

        Returns:
            dict[str, str]: The last error line of every job that failed, by
            its title.
        """
        with self._bar() as self.bar:
            self.task = self.bar.add_task('', total=self.total)
            try:
                while self.waiting or self.running:
                    self._start_some()
                    self._collect()
                    self._show()
                    time.sleep(_POLL)
            finally:
                self._stop()
        return self.failed

    @staticmethod
    def _bar():
        bar = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            transient=True)
        if not bar.console.is_terminal:
            bar.disable = True
        return bar

    def _start_some(self):
        for job in list(self.waiting):
            if len(self.running) >= self.parallel:
                return
            needs = getattr(job, 'needs', None)
            if needs is None or needs.is_done():
                self.waiting.remove(job)
                self._start(job)
            elif needs.title in self.failed:
                self.waiting.remove(job)
                self._fail(job, f'{needs.title} failed')

    def _start(self, job):
        try:
            job.claim()
        except ForgetError as err:
            self._fail(job, str(err))
            return
        log = open(job.folder / LOG, 'a')
        command = [sys.executable, self.tools / job.tool, *job.arguments()]
        process = subprocess.Popen(
            command,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_depend_on_parent)
        self.running[process] = job, log, log.tell(), time.time()

    def _environment(self):
        env = dict(os.environ)
        env['PYTHONPATH'] = os.pathsep.join(
            filter(None, [str(_ROOT), env.get('PYTHONPATH')]))
        if self.parallel > 1:
            cores = max(1, (os.cpu_count() or 1) // self.parallel)
            env.setdefault('OMP_NUM_THREADS', str(cores))
        return env

    def _collect(self):
        for process in [p for p in self.running if p.poll() is not None]:
            job, log, offset, begin = self.running.pop(process)
            log.close()
            if process.returncode == 0 and job.is_done():
                self.done += 1
                self.seconds.append(time.time() - begin)
                self._say(f'{job.title}: {self.seconds[-1]:.0f} s')
            else:
                self._fail(
                    job,
                    last_error(job.folder / LOG, offset, process.returncode))

    def _fail(self, job, reason):
        self.failed[job.title] = reason
        self._say(f'{job.title}: FAILED, {reason}')

    def _say(self, text):
        left = len(self.waiting) + len(self.running)
        line = f'[{self.done}/{self.total}] {text}; {left} left{self._eta()}'
        self.bar.console.print(
            line, markup=False, highlight=False, soft_wrap=True)

    def _eta(self):
        left = len(self.waiting) + len(self.running)
        if not self.seconds or not left:
            return ''
        each = sum(self.seconds) / len(self.seconds)
        return f', eta {left * each / self.parallel / 60:.0f} min'

    def _show(self):
        titles = [job.title for job, *_ in self.running.values()]
        self.bar.update(
            self.task, completed=self.done, description='; '.join(titles))

    def _stop(self):
        for process in self.running:
            process.terminate()
        for process, (_, log, *_) in self.running.items():
            process.wait()
            log.close()


def _depend_on_parent():
    # Ctrl-C reaches the parent alone, which passes it on once.
    os.setpgid(0, 0)
    if _PRCTL:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)


def last_error(path, offset, status):
    """The line of a log that says why a command ended.

    Args:
        path (Path): The log.
        offset (int): Where the command began to write, in bytes.
        status (int): How it ended: its exit status, or minus the signal.

    Returns:
        str: The last ``error: ...``, else the last line.
    """
    if status < 0:
        return f'killed by signal {-status}'
    text = path.read_bytes()[offset:].decode(errors='replace')
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith('error: ')]
    last = (errors or lines or ['it wrote nothing'])[-1]
    if status == 0:
        return f'it ended well but left no whole result; {last}'
    return last.removeprefix('error: ')


def failures(failed):
    """What to say of the runs that failed.

    Args:
        failed (dict[str, str]): See :meth:`JobQueue.run`.

    Returns:
        str: The first of them, and the cure.
    """
    named = '; '.join(f'{title}: {reason}'
                      for title, reason in list(failed.items())[:_NAMED])
    more = ', ...' if len(failed) > _NAMED else ''
    return (f'{counted(len(failed), "run")} failed ({named}{more}); see '
            'run.log in their folders, then start the study again: what is '
            'finished is kept')
