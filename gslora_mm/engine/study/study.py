"""A study: one table and one figure from a grid of runs."""
import os
from pathlib import Path

from ...analysis.study_table import write_study
from ...utils import ForgetError
from ..run_lock import lock_run
from .config import read_study
from .plan import check_bases, plan_runs
from .queue import JobQueue, failures


class Study:
    """Runs every cell of a grid with every seed, and tabulates the results.

    Each run is one of ``tools/train.py`` in its own folder,
    ``cells/<axis=value,...>/seed_N``, with its config and its log. What is
    finished is never run again; what was interrupted goes on.

    Args:
        config (str): The config of the study.
        work_dir (str, optional): Its folder; default
            ``work_dirs/studies/<config>``.
        seeds (list[int], optional): Instead of those of the config.
        options (dict, optional): Further options of all runs.

    Raises:
        ForgetError: On bad input, before anything is run.
    """

    def __init__(self, config, work_dir=None, seeds=None, options=None):
        self.grid = read_study(config, options, seeds)
        default = f'work_dirs/studies/{Path(config).stem}'
        # However it is written, the configs in it name it the same way.
        self.work_dir = Path(os.path.relpath(work_dir or default))
        self.runs = plan_runs(self.grid, self.work_dir)

    def run(self, tools, jobs=1):
        """Run what is not done, then write the table and the figure.

        Args:
            tools (str | Path): Folder of ``train.py`` and ``pretrain.py``.
            jobs (int): How many runs at a time. Defaults to 1.

        Returns:
            str: The table.

        Raises:
            ForgetError: If a run failed, after all others and the table; or
                if another process is at work in the folder.
        """
        with lock_run(self.work_dir):
            wanted = [r for r in self.runs if r.seed in self.grid.seeds]
            todo = [run for run in wanted if not run.is_done()]
            print(
                f'{len(wanted) - len(todo)} of {len(wanted)} runs are done',
                flush=True)
            failed = JobQueue([*_preparations(todo), *todo], tools, jobs,
                              len(wanted) - len(todo)).run()
            table = self.tabulate() if self._finished() else ''
        if failed:
            print(table)
            raise ForgetError(failures(failed))
        return table

    def tabulate(self):
        """Write the table and the figure of what is finished.

        Returns:
            str: The table.

        Raises:
            ForgetError: If nothing is, or base models differ.
        """
        finished = self._finished()
        if not finished:
            raise ForgetError(f'{self.work_dir} holds no finished run of this '
                              'study; start it without --table-only')
        check_bases(finished)
        missing = [r.title for r in self.runs if r not in finished]
        table = write_study(self.grid, finished, missing, self.work_dir)
        for name in self._strangers():
            print(f'note: {name} is no cell of this study, left out')
        return table

    def _finished(self):
        return [run for run in self.runs if run.is_done()]

    def _strangers(self):
        known = {run.folder.parent.name for run in self.runs}
        folders = (self.work_dir / 'cells').glob('*')
        return sorted(f.name for f in folders if f.name not in known)


def _preparations(runs):
    """What some runs need and nobody has done, once each."""
    found = {r.needs.title: r.needs for r in runs if r.needs}
    return [job for job in found.values() if not job.is_done()]
