"""What every checkpoint format shares: tables of keys and shapes."""
import re
from numbers import Integral

import torch

from ..utils import ForgetError
from .checks import check_keys, check_shapes


class CheckpointFormat:
    """A state dict layout that can be turned into mmpretrain's.

    A subclass is two tables, ``{key: (mmpretrain key, shape)}``, for the
    tensors outside the layers and for those of one layer, and the changes
    that renaming cannot express. A shape is written with numbers and the
    letters D (width), F (FFN width), K (classes), N (tokens) and P (patch
    size in pixels), optionally with a factor: ``('3D', 'D')``.

    Attributes:
        name (str): For ``--format``.
        title (str): For messages.
        marks (tuple[str]): Beginnings of keys that only this format has.
        stem (dict): Table of the tensors outside the layers.
        layer (dict): Table of a layer, behind ``layer_prefix``.
        layer_prefix (str): Beginning of a layer's keys, ``{}`` for its index.
        head (tuple[str]): Keys with one row per class.
        eps (float): Of the LayerNorms of the original model.
        patch (int | None): Patch size, where no shape tells it.
        head_dims (int | None): Width of an attention head, where it is known.
    """
    name, title, marks = '', '', ()
    stem, layer, layer_prefix, head = {}, {}, '', ()
    eps, patch, head_dims = 1e-6, None, None

    def matches(self, state):
        """Whether a state dict looks like this format."""
        return any(key.startswith(self.marks) for key in state)

    def clean(self, state):
        """Bring the state dict to the keys of the tables.

        Args:
            state (dict[str, Tensor]): As in the file.

        Returns:
            tuple[dict[str, Tensor], list[str]]: Same tensors, and notes on
            what was done.
        """
        return dict(state), []

    def tensor(self, key, value, sizes):
        """Turn one tensor, whose shape is right, into mmpretrain's.

        Args:
            key (str): Original key.
            value (Tensor): The tensor.
            sizes (dict[str, int]): Size by letter.

        Returns:
            Tensor: May be a view.
        """
        return value

    def convert(self, state, rows=None):
        """Convert a whole state dict.

        Args:
            state (dict[str, Tensor]): Of a model of this format.
            rows (Sequence[int], optional): Rows of the head to keep, in the
                order of the new classes.

        Returns:
            tuple[dict[str, Tensor], list[str]]: New tensors that share no
            memory with the old ones, and notes for the user.

        Raises:
            ForgetError: If anything is missing, unknown or misshapen.
        """
        state, notes = self.clean(state)
        table, depth = self._table(state)
        check_keys(state, table, self.title)
        sizes = check_shapes(state, table, self.title)
        if self.patch:
            sizes['P'] = self.patch
        notes.append(self.describe(sizes, depth))
        new = {}
        for key, (name, _) in table.items():
            value = self.tensor(key, state[key].detach(), sizes)
            new[name] = value.clone(memory_format=torch.contiguous_format)
        if rows is not None:
            rows = check_rows(rows, sizes['K'])
            for key in self.head:
                new[table[key][0]] = new[table[key][0]][rows]
            notes.append(f'{len(rows)} of {sizes["K"]} head rows kept')
        return new, notes

    def describe(self, sizes, depth):
        """One line on the model, what its config has to say."""
        return ('num_layers={}, embed_dims={D}, feedforward_channels={F}, '
                'patch_size={P}, {} patches, num_classes={K}, '
                'LayerNorm eps={}').format(depth, sizes['N'] - 1, self.eps,
                                           **sizes)

    def _table(self, state):
        prefix = re.escape(self.layer_prefix).replace(r'\{\}', '([0-9]+)')
        found = (re.match(prefix, key) for key in state)
        # Counted, not the highest index: the file may name any number.
        depth = max(1, len({match[1] for match in found if match}))
        table = dict(self.stem)
        for i in range(depth):
            old, new = self.layer_prefix.format(i), f'backbone.layers.{i}.'
            for key, (name, shape) in self.layer.items():
                table[old + key] = (new + name, shape)
        return table, depth


def check_rows(rows, num_classes):
    """Check a selection of head rows.

    Args:
        rows (Sequence[int]): Row of each new class.
        num_classes (int): Rows of the head.

    Returns:
        list[int]: The rows.

    Raises:
        ForgetError: If there are none, or one does not exist or comes twice.
    """
    rows, seen = list(rows), set()
    if not rows:
        raise ForgetError('no head rows are selected; name at least one, or '
                          'leave the selection out to keep all')
    for row in rows:
        if not isinstance(row, Integral) or not 0 <= row < num_classes:
            raise ForgetError(
                f'head row {row!r} does not exist; the head has rows 0 to '
                f'{num_classes - 1}')
        if row in seen:
            raise ForgetError(f'head row {row} is selected twice; name every '
                              'row once')
        seen.add(row)
    return [int(row) for row in rows]
