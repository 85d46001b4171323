"""Settings that are the beginning of another one need no runs of their own."""
from dataclasses import dataclass, field

from ...analysis.summary import read_requests
from ..config_file import plain
from ..study.jobs import Run


@dataclass
class FirstRequests(Run):
    """The first requests of another run, which did the same until there.

    Args:
        whole (Run): The run that holds them.
    """
    whole: Run = field(default=None, repr=False)

    def is_started(self):
        """Whether the other run is."""
        return self.whole.is_started()

    def is_done(self):
        """Whether the other run has measured as many requests."""
        return (self.is_started()
                and len(read_requests(self.folder)) >= self.requests)

    def diverged(self):
        """How the other run diverged, if that was before this one's end."""
        return '' if self.is_done() else self.whole.diverged()


def share_runs(runs, axis, wanted):
    """Let settings that begin another one be read from its runs.

    A run is replaced if it was not begun by itself, and the other one is
    wanted or was begun.

    Args:
        runs (list[Run]): Of all settings, methods and seeds.
        axis (str): Name of the axis of the settings.
        wanted (list[str]): Values of it that are run.

    Returns:
        list[Run]: The same, in the same order, some replaced.
    """
    found = {}
    for run in runs:
        others = tuple(v for k, v in run.cell.values.items() if k != axis)
        found.setdefault((others, run.seed), []).append(run)
    whole = {}
    for group in found.values():
        for run in group:
            longer = [
                r for r in group if r is not run and _begins(run, r) and (
                    r.cell.values[axis] in wanted or r.is_started())
            ]
            if longer and not run.is_started():
                # A run that is shared itself has a longer one, too.
                whole[id(run)] = max(longer, key=lambda r: r.requests)
    return [_first_of(whole[id(r)], r) if id(r) in whole else r for r in runs]


def whole_run(run):
    """Run: What has to be run for it."""
    return getattr(run, 'whole', run)


def _first_of(whole, run):
    return FirstRequests(
        run.title,
        whole.folder,
        run.config,
        cell=run.cell,
        seed=run.seed,
        requests=run.requests,
        whole=whole)


def _begins(run, other):
    """Whether a run is the beginning of another one."""
    (mine, first), (rest, requests) = map(_without_requests, (run, other))
    return (0 < len(first) < len(requests) and requests[:len(first)] == first
            and mine == rest)


def _without_requests(run):
    """The config without its requests, and these; none if they are odd."""
    content = plain(run.config.to_dict())
    forget = dict(content['forget'])
    requests = forget.pop('requests')
    return ({
        **content, 'forget': forget
    }, requests if isinstance(requests, list) else [])
