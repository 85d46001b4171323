"""All measurements of one model, in a process of their own."""
from dataclasses import dataclass
from pathlib import Path


@dataclass
class ModelJob:
    """What a queue needs to know of a model that is to be measured.

    Args:
        title (str): For people.
        folder (Path): Where its log lies.
        command (list[str]): Arguments of ``tools/recover.py``.
        results (list[Path]): Files that are there when it is done.
        needs (Job, optional): Training of the model.
    """
    title: str
    folder: Path
    command: list
    results: list
    needs: object = None

    tool = 'recover.py'

    def arguments(self):
        """list[str]: Of the command."""
        return self.command

    def claim(self):
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def is_done(self):
        """Whether all is measured."""
        return all(path.is_file() for path in self.results)
