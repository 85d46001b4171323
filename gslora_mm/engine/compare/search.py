"""The search for the hyper-parameters of one method."""
import math

import numpy as np

from ...analysis.summary import read_requests
from ...evaluation import measure_of
from ...utils import ForgetError
from ..config_file import plain
from ..study.grid import Grid
from ..study.plan import changed_config, plan_runs

# What a trial leaves behind and nobody needs again.
_WEIGHTS = ('*.pth', '*.safetensors')


class Search:
    """The trials of one method, the same number for every method.

    Trials are drawn without replacement from the grid of the search space by
    a seeded generator (all of it, if it is no larger), in the order of the
    grid. Each is a run with the data of the search; its score is the mean of
    H over its requests, in the first protocol of the tables. A trial that
    diverges scores 0. The first of the best is chosen. Weights of finished
    trials are removed; their numbers stay.

    Args:
        settings (ComparisonSettings): The comparison.
        method (MethodFile): The method.
        work_dir (Path): Folder of the comparison.

    Attributes:
        runs (list[Run]): The trials; none if there is nothing to tune, or
            no budget.

    Raises:
        ForgetError: If settings are bad, or the trials would be measured on
            the evaluation set.
    """

    def __init__(self, settings, method, work_dir):
        self.method = method
        options = {**settings.options, **method.options,
                   **settings.search_options}  # yapf: disable
        self.grid = Grid(f'{settings.name}: {method.title}', settings.base,
                         method.search, [settings.search_seed], options)
        self.runs = []
        if method.search and settings.budget:
            cells = self.grid.cells()
            chosen = draw_trials(
                len(cells), settings.budget, settings.search_seed)
            found = plan_runs(self.grid, work_dir / 'search' / method.name,
                              [cells[i] for i in chosen],
                              {settings.base: settings.base_config})
            # Not those of other seeds, from earlier calls.
            self.runs = [r for r in found if r.seed == settings.search_seed]
            for run in self.runs:
                run.title = f'{method.name}, trial {run.cell.name}'
            _check_split(settings, self.runs[0].config)

    def todo(self):
        """list[Run]: Trials that are still to be run."""
        return [run for run in self.runs if not run.is_settled()]

    def is_done(self):
        """Whether every trial has its score."""
        return not self.todo()

    def rows(self):
        """What the trials gave.

        Returns:
            list[dict]: Of every settled trial in the order of the grid:
            ``method``, ``trial``, ``score``, ``H`` of each request,
            ``seconds`` of training and ``diverged``, how.
        """
        return [self._row(run) for run in self.runs if run.is_settled()]

    def _row(self, run):
        row = dict(method=self.method.name, trial=run.cell.name)
        diverged = '' if run.is_done() else run.diverged()
        if diverged:
            return dict(
                row, score=0., H=[], seconds=math.nan, diverged=diverged)
        requests = read_requests(run.folder)
        h = [_h(request, run.folder) for request in requests]
        return dict(
            row,
            score=float(np.mean(h)),
            H=h,
            seconds=sum(r['seconds'] for r in requests),
            diverged='')

    def chosen(self):
        """What the search found.

        Returns:
            dict | None: ``trial``, ``options``, ``score``, ``trials`` and
            ``seconds`` of all; without a search, no options. None if a trial
            is missing or every one diverged.
        """
        if not self.runs:
            return dict(trial='', options={}, score=None, trials=0, seconds=0.)
        rows = self.rows()
        if len(rows) < len(self.runs) or all(r['diverged'] for r in rows):
            return None
        # max() takes the first of equals.
        best = max(range(len(rows)), key=lambda i: rows[i]['score'])
        return dict(
            trial=rows[best]['trial'],
            options=plain(self.runs[best].cell.options),
            score=rows[best]['score'],
            trials=len(rows),
            seconds=float(np.nansum([r['seconds'] for r in rows])))

    def remove_weights(self):
        """Remove the weights that finished trials left."""
        for run in self.runs:
            if run.is_settled():
                for pattern in _WEIGHTS:
                    for path in run.folder.rglob(pattern):
                        path.unlink()


def draw_trials(size, budget, seed):
    """Which points of a grid are tried.

    Args:
        size (int): Points of the grid.
        budget (int): How many may be tried.
        seed (int): Of the draw.

    Returns:
        list[int]: Their places in the grid, ascending.
    """
    if size <= budget:
        return list(range(size))
    rng = np.random.default_rng(seed)
    return sorted(rng.choice(size, budget, replace=False).tolist())


def _h(request, folder):
    measure = measure_of(request)
    value = request[measure.protocols[0]]['H']
    if value is None:
        raise ForgetError(
            f'{folder}: request {request["request"]} has no H, as its classes '
            'are not in the validation split of the search; give it other '
            'data in comparison.search.options')
    return value


def _check_split(settings, trial):
    """The trials must be measured on other images than the results."""
    base = changed_config(settings.base_config, settings.options)
    if plain(base.val_dataloader.dataset.to_dict()) == plain(
            trial.val_dataloader.dataset.to_dict()):
        raise ForgetError(
            'the search would be measured on the evaluation set; give '
            'comparison.search.options another val_dataloader.dataset, e.g. '
            "{'val_dataloader.dataset.data_prefix': 'search'}")
