"""A comparison: every method tuned alike, then run alike."""
import os
from pathlib import Path

from ...analysis.compare_table import write_comparison, write_search
from ...utils import ForgetError
from ..config_checks import refuse_unknown
from ..run_lock import lock_run
from ..study.axes import Axis
from ..study.grid import Grid
from ..study.plan import check_bases, check_cell, plan_runs
from ..study.queue import JobQueue, failures
from .config import read_comparison
from .search import Search
from .shared_requests import share_runs, whole_run

SETTING, METHOD = 'setting', 'method'


class Comparison:
    """Tunes every method, runs all settings with all seeds, and tabulates.

    Every run is one of ``tools/train.py`` in its own folder: the trials of
    the search in ``search/<method>/``, the results in ``cells/``. What is
    finished is never run again; what was interrupted goes on. Training that
    diverges is a result, too. A setting whose requests are the first of
    another one's is read from the runs of that, or begins them.

    Args:
        config (str): The config of the comparison.
        work_dir (str, optional): Its folder; default
            ``work_dirs/compare/<config>``.
        seeds (list[int], optional): Instead of those of the config.
        methods (list[str], optional): Names of the methods to run; default
            all.
        settings (list[str], optional): The same of settings.
        options (dict, optional): Further options of all runs.

    Attributes:
        searches (dict[str, Search]): By name of the method.
        runs (list[Run]): Of the methods that are tuned.

    Raises:
        ForgetError: On bad input, before anything is run.
    """

    def __init__(self,
                 config,
                 work_dir=None,
                 seeds=None,
                 methods=None,
                 settings=None,
                 options=None):
        self.settings = read_comparison(config, options, seeds)
        default = f'work_dirs/compare/{Path(config).stem}'
        # However it is written, the configs in it name it the same way.
        self.work_dir = Path(os.path.relpath(work_dir or default))
        self.wanted_methods = named_choice('--methods', methods,
                                           self.settings.titles)
        self.wanted_settings = named_choice('--settings', settings,
                                            self.settings.settings.values)
        self.searches = {
            method.name: Search(self.settings, method, self.work_dir)
            for method in self.settings.methods
        }
        for name in self.wanted_methods:
            self._check(name)
        self._check_wanted(config)
        self.plan()

    def plan(self):
        """Plan the runs of all methods that are tuned by now."""
        self.chosen = {n: s.chosen() for n, s in self.searches.items()}
        self.grid = self._grid({
            n: c['options']
            for n, c in self.chosen.items() if c
        })
        self.runs = []
        if self.grid:
            bases = {self.settings.base: self.settings.base_config}
            self.runs = share_runs(
                plan_runs(self.grid, self.work_dir, self._asked(self.grid),
                          bases), SETTING, self.wanted_settings)

    def _asked(self, grid):
        """Cells of a grid whose method runs their setting."""
        return [
            cell for cell in grid.cells()
            if self.settings.asks(cell.values[SETTING], cell.values[METHOD])
        ]

    def _check_wanted(self, config):
        """Each of the settings is run by one of the methods at least."""
        for name in self.wanted_settings:
            if not any(
                    self.settings.asks(name, m) for m in self.wanted_methods):
                raise ForgetError(
                    f'setting {name} of {config} is for '
                    f'{", ".join(self.settings.only[name])} only; leave it '
                    'out, or ask for one of these')

    def _grid(self, tuned):
        """Settings times some methods, with values for what is tuned."""
        values = {
            method.name: {
                **method.options,
                **tuned[method.name]
            }
            for method in self.settings.methods if method.name in tuned
        }
        if not values:
            return None
        axes = [self.settings.settings, Axis(METHOD, values)]
        return Grid(self.settings.name, self.settings.base, axes,
                    self.settings.seeds, self.settings.options)

    def _check(self, name):
        """Check the cells of a method before it is tuned."""
        search = self.searches[name]
        options = search.runs[0].cell.options if search.runs else {}
        grid = self._grid({name: options})
        for cell in self._asked(grid):
            check_cell(grid, cell, self.settings.base_config)

    def run(self, tools, jobs=1):
        """Tune, run what is not done, then write table and figure.

        Args:
            tools (str | Path): Folder of ``train.py``.
            jobs (int): How many runs at a time. Defaults to 1.

        Returns:
            str: The table.

        Raises:
            ForgetError: If a run failed or diverged, after all others and
                the table; or if another process is at work in the folder.
        """
        with lock_run(self.work_dir):
            failed = self._run(self._trials(), 'trials', tools, jobs)
            for name in self.wanted_methods:
                self.searches[name].remove_weights()
            self.plan()
            failed.update(self._run(self._cells(), 'runs', tools, jobs))
            for run in self._cells():
                if run.diverged():
                    failed.setdefault(run.title, run.diverged())
            for name in self._hopeless():
                failed[name] = 'every trial of its search diverged'
            table = self.tabulate() if self._finished() else ''
        if failed:
            print(table)
            raise ForgetError(failures(failed))
        return table

    @staticmethod
    def _run(runs, what, tools, jobs):
        """Run those that are not settled.

        Returns:
            dict[str, str]: Why some failed for other reasons than themselves.
        """
        # Those that are part of another run come with it.
        runs = list({str(r.folder): r for r in map(whole_run, runs)}.values())
        todo = [run for run in runs if not run.is_settled()]
        print(
            f'{len(runs) - len(todo)} of {len(runs)} {what} are done',
            flush=True)
        queue = JobQueue(todo, tools, jobs, len(runs) - len(todo))
        failed = queue.run()
        diverged = {run.title for run in todo if run.diverged()}
        return {k: v for k, v in failed.items() if k not in diverged}

    def _trials(self):
        found = [self.searches[name].runs for name in self.wanted_methods]
        return [run for runs in found for run in runs]

    def _cells(self):
        """Runs that are wanted, of what is planned."""
        return [
            run for run in self.runs if run.seed in self.settings.seeds
            and run.cell.values[METHOD] in self.wanted_methods
            and run.cell.values[SETTING] in self.wanted_settings
        ]

    def _hopeless(self):
        """Methods without anything to run, though every trial is done."""
        return [
            name for name in self.wanted_methods
            if self.chosen[name] is None and self.searches[name].is_done()
        ]

    def _finished(self):
        return [run for run in self.runs if run.is_done()]

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
                              'comparison; start it without --table-only')
        check_bases(finished)
        write_search(self.searches, self.chosen, self.work_dir)
        return write_comparison(self.settings, self.runs, self.chosen,
                                self._hopeless(), self.work_dir)


def named_choice(option, names, known):
    """Those of the command line, checked; all by default."""
    refuse_unknown(option, dict.fromkeys(names or ()), tuple(known))
    return list(known) if names is None else list(dict.fromkeys(names))
