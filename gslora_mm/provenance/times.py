"""``times.json``: when a run was started, and when each request began."""
from datetime import datetime, timezone
from pathlib import Path

from ..utils import EVERY, read_form, write_json

TIMES = 'times.json'


def now():
    """str: The time, UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec='seconds')


class RunTimes:
    """Times of a run, kept beside it so that a resume knows them.

    Args:
        work_dir (str | Path): Folder of the run.

    Raises:
        ForgetError: If the file is damaged.
    """

    def __init__(self, work_dir):
        self.path = Path(work_dir) / TIMES
        content = read_form(self.path, {
            'starts': [str],
            'begun': {
                EVERY: str
            }
        }) if self.path.is_file() else {}
        self.starts = content.get('starts', [])
        self.begun, self._noted = content.get('begun', {}), True

    def start(self):
        """A process has started the run, or goes on with it.

        Written with what it does first: a run that is finished stays as it
        is.
        """
        self.starts.append(now())
        self._noted = False

    def begin(self, name):
        """Note that a request begins, unless it had begun before."""
        self._noted &= name in self.begun
        self.begun.setdefault(name, now())
        self.save()

    def save(self):
        """Write what is not written yet."""
        if not self._noted:
            write_json(self.path, dict(starts=self.starts, begun=self.begun))
            self._noted = True
