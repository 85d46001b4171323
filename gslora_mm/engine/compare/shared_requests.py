"""Settings that begin with the same requests share what they run."""
from dataclasses import dataclass, field, fields

from ...analysis.summary import read_requests
from ...utils import copy_folder
from ..artefacts import MERGED
from ..config_file import plain
from ..run_record import began_as
from ..study.jobs import CONFIG, SETTINGS, Run


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


@dataclass
class FurtherRequests(Run):
    """A run that goes on where a finished one ended, which did the same.

    It starts as a copy of that run, to which requests are added: the result
    is that of a run of its own.

    Args:
        first (Run): The finished one.
    """
    first: Run = field(default=None, repr=False)

    def claim(self):
        """Copy the finished run, unless that was done before.

        One of another base model or other data is left alone: this run then
        begins with its first request.

        Raises:
            ForgetError: If it cannot be copied.
        """
        if not self.folder.exists() and began_as(self.config,
                                                 self.first.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            copy_folder(self.first.folder, self.folder, (CONFIG, SETTINGS))
        super().claim()


def share_runs(runs, axis, wanted):
    """Let settings that begin with the same requests share their runs.

    A run that was not begun by itself is read from one that goes further, if
    that is wanted or was begun; else it goes on from a shorter one that is
    finished and has its weights.

    Args:
        runs (list[Run]): Of all settings, methods and seeds.
        axis (str): Name of the axis of the settings.
        wanted (list[str]): Values of it that are run.

    Returns:
        list[Run]: The same, in the same order, some replaced.
    """
    runs = [_go_on(r, group) for r, group in _with_others(runs, axis)]
    return [
        _read_from(run, group, axis, wanted)
        for run, group in _with_others(runs, axis)
    ]


def _with_others(runs, axis):
    """Each run with all that differ from it by their setting alone."""
    found = {}
    for run in runs:
        others = tuple(v for k, v in run.cell.values.items() if k != axis)
        found.setdefault((others, run.seed), []).append(run)
    # Runs cannot be hashed.
    of = {id(run): group for group in found.values() for run in group}
    return [(run, of[id(run)]) for run in runs]


def _go_on(run, others):
    """The run itself, or as one that goes on from the longest that it can."""
    if run.is_started():
        return run
    found = [
        r for r in others
        if r.is_done() and _begins(r, run) and _last_weights(r).is_file()
    ]
    if not found:
        return run
    first = max(found, key=lambda r: r.requests)
    return FurtherRequests(**_plan_of(run), first=first)


def _last_weights(run):
    return run.folder / f'request_{run.requests:02d}' / MERGED


def _read_from(run, others, axis, wanted):
    """The run itself, or as the beginning of a longer one."""
    if run.is_started():
        return run
    longer = [
        r for r in others if _begins(run, r) and (
            r.cell.values[axis] in wanted or r.is_started())
    ]
    if not longer:
        return run
    # What there is, before what may come; a run that is itself read from
    # another has a longer one, too.
    whole = max(
        longer,
        key=lambda r:
        (_has(r, run.requests), bool(r.is_started()), r.requests))
    return FirstRequests(
        **dict(_plan_of(run), folder=whole.folder), whole=whole)


def _has(run, requests):
    return run.is_started() and len(read_requests(run.folder)) >= requests


def _plan_of(run):
    return {f.name: getattr(run, f.name) for f in fields(Run)}


def whole_run(run):
    """Run: What has to be run for it."""
    return getattr(run, 'whole', run)


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
