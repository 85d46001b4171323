"""What a study runs: each command in a folder of its own."""
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from ...utils import ForgetError, atomic_path, read_json, write_json
from ..config_file import config_content
from ..method_defaults import KEY as DEFAULTS
from ..method_defaults import method_defaults, with_arguments
from ..run_record import differing_keys

CONFIG, SETTINGS = 'config.py', 'settings.json'
SUMMARY, BASE_MODEL, DIVERGED = 'summary.json', 'base.pth', 'diverged.json'
_NAMED = 5


@dataclass
class Job:
    """A command of a study, in a folder of its own.

    Args:
        title (str): For people.
        folder (Path): Where it works; its config and log lie there.
        config (Config): What it is given.
    """
    title: str
    folder: Path
    config: Config

    tool = None
    # Keys of the config that do not say what is computed.
    free = ()

    def arguments(self):
        """list[str]: Of the command; a started one goes on."""
        return [
            str(self.folder / CONFIG), '--work-dir',
            str(self.folder), '--resume'
        ]

    def is_started(self):
        """Whether the folder belongs to this job already."""
        return (self.folder / SETTINGS).is_file()

    def check(self):
        """Check that the folder was not begun with other settings.

        Raises:
            ForgetError: If it was.
        """
        if not self.is_started():
            return
        changed = differing_keys(*self._comparable(
            read_json(self.folder / SETTINGS), self.settings()))
        if changed:
            more = ', ...' if len(changed) > _NAMED else ''
            raise ForgetError(
                f'{self.folder} was run with other settings (different: '
                f'{", ".join(changed[:_NAMED])}{more}); give the value of '
                'the axis another name, choose another --work-dir, or remove '
                'the folder')

    def claim(self):
        """Write the config, from which the command starts."""
        with atomic_path(self.folder / CONFIG) as partial:
            # yapf would take longer than a tiny training to start.
            Config(
                self.config.to_dict(),
                format_python_code=False).dump(str(partial))
        write_json(self.folder / SETTINGS, self.settings())

    def settings(self):
        """dict: What makes this job another one than its neighbours."""
        content = config_content(self.config)
        return {k: v for k, v in content.items() if k not in self.free}

    @staticmethod
    def _comparable(old, new):
        return old, new


@dataclass
class Preparation(Job):
    """Pre-training of the base model of some cells."""

    tool = 'pretrain.py'

    @property
    def result(self):
        """Path: The weights."""
        return self.folder / BASE_MODEL

    def is_done(self):
        """Whether the weights are there; they are written last."""
        return self.is_started() and self.result.is_file()


@dataclass
class Run(Job):
    """One cell with one seed: a run of ``tools/train.py``.

    Args:
        cell (Cell): The cell.
        seed (int): The seed.
        requests (int): How many requests it has.
        needs (Preparation, optional): What has to be done before.
    """
    cell: object = None
    seed: int = 0
    requests: int = 1
    needs: Preparation = field(default=None, repr=False)

    tool = 'train.py'

    @property
    def free(self):
        """A prepared base model may have moved, with the whole study."""
        return ('load_from', ) if self.needs else ()

    def settings(self):
        """dict: See :class:`Job`, with what is left to the method."""
        found = super().settings()
        return {**found, DEFAULTS: method_defaults(found)}

    @staticmethod
    def _comparable(old, new):
        old_defaults = old.pop(DEFAULTS, None)
        return with_arguments(old, old_defaults, new, new.pop(DEFAULTS))

    def diverged(self):
        """How its training diverged, if it did.

        Returns:
            str: The error; empty if it did not.
        """
        path = self.folder / DIVERGED
        if not self.is_started() or not path.is_file():
            return ''
        return str(read_json(path).get('error'))

    def is_settled(self):
        """Whether there is nothing more to learn by running it."""
        return self.is_done() or bool(self.diverged())

    def is_done(self):
        """Whether every request is trained, measured and summarised."""
        path = self.folder / SUMMARY
        if not self.is_started() or not path.is_file():
            return False
        found = read_json(path)
        rows = found.get('requests') if isinstance(found, dict) else None
        return isinstance(rows, list) and len(rows) == self.requests
