"""A study as a grid: axes, their values, and the cells they span."""
import itertools
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Axis:
    """What a study varies.

    Args:
        name (str): For instance ``'position'``.
        values (dict[str, dict]): Options over the base config (dotted keys,
            as in ``--cfg-options``) of every value, by its name.
        prepare (dict, optional): ``config`` and ``options`` of the training
            of a base model for each value.
        files (dict[str, str], optional): What stands in the base config's
            path for ``{name}``, by the name of the value.
    """
    name: str
    values: dict
    prepare: dict = None
    files: dict = None


@dataclass(frozen=True)
class Cell:
    """One value of every axis.

    Args:
        values (dict[str, str]): Name of the value by name of the axis.
        options (dict): What they change in the base config.
        base (str): Path of the base config.
        prepared (str, optional): Name of the base model that is trained for
            it, such as ``'depth=3'``.
    """
    values: dict
    options: dict
    base: str
    prepared: str = None

    @property
    def name(self):
        """str: For instance ``'group=block,position=ffn'``."""
        return ','.join(f'{axis}={v}' for axis, v in self.values.items())


@dataclass(frozen=True)
class Grid:
    """A study, read and checked.

    Args:
        name (str): Its title.
        base (str): Path of the config that every run starts from, with
            ``{axis}`` for every axis that has files.
        axes (list[Axis]): What it varies.
        seeds (list[int]): Seeds of the runs of every cell.
        options (dict): What all runs change in the base config.
    """
    name: str
    base: str
    axes: list
    seeds: list
    options: dict = field(default_factory=dict)

    def cells(self):
        """list[Cell]: All of them; the last axis varies fastest."""
        return [
            self._cell(dict(zip((a.name for a in self.axes), names)))
            for names in itertools.product(*(a.values for a in self.axes))
        ]

    def _cell(self, chosen):
        options, base, prepared = {}, self.base, None
        for axis in self.axes:
            value = chosen[axis.name]
            options.update(axis.values[value])
            if axis.files:
                base = base.replace(f'{{{axis.name}}}', axis.files[value])
            if axis.prepare:
                prepared = f'{axis.name}={value}'
        return Cell(chosen, options, base, prepared)
