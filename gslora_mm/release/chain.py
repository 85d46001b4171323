"""The weights along a sequence of requests, from what a run left behind."""
from pathlib import Path

from ..analysis.run_folder import finished_requests, load_base
from ..engine.artefacts import ADAPTER, GROUPS, MERGED
from ..engine.checkpoints import load_plain_state
from ..engine.run_record import RECORD
from ..lora import fingerprint, load_adapter, merge_state_dict
from ..utils import ForgetError, read_json

_LARGEST_ROUNDING = 1e-6


class Chain:
    """Base, adapters and merged checkpoints of a run, each checked.

    Args:
        work_dir (str | Path): Folder of the run.
        base (str, optional): The original checkpoint; default: the one that
            the record of the run names.

    Attributes:
        record (dict): Content of ``run.json``.
        folders (list[Path]): Of the finished requests, in order.
        remade (dict[int, str]): How the weights after a request were got,
            for those that were asked for.

    Raises:
        ForgetError: If there is no such run or nothing is finished.
    """

    def __init__(self, work_dir, base=None):
        self.work_dir, self._base = Path(work_dir), base
        self.folders = [folder for _, folder in finished_requests(work_dir)[0]]
        self.record = read_json(self.work_dir / RECORD)
        self.remade, self._loaded = {}, None

    def __len__(self):
        return len(self.folders)

    def check_index(self, index, first):
        """Check the number of a request.

        Raises:
            ForgetError: If it is below ``first`` or not finished.
        """
        if not first <= index <= len(self):
            raise ForgetError(
                f'there is no finished request {index} in {self.work_dir}; '
                f'choose {first} to {len(self)}')

    def folder(self, index):
        """Path: Folder of a request, numbered from 1."""
        return self.folders[index - 1]

    def base(self):
        """The original model.

        Returns:
            tuple[str, dict[str, Tensor], str]: See
            :func:`~gslora_mm.analysis.run_folder.load_base`.
        """
        if self._loaded is None:
            self._loaded = load_base(self.work_dir, self._base)
        return self._loaded

    def groups(self, index):
        """dict: Content of ``groups.json`` of a request."""
        path = self.folder(index) / GROUPS
        content = read_json(path)
        rows = content.get('groups') if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(
                isinstance(row, dict) and {'name', 'layers', 'zero'} <= {*row}
                for row in rows):
            raise ForgetError(f'{path} lacks groups or their keys; restore it')
        return content

    def has_lora(self, index):
        """bool: Whether a request was trained by LoRA."""
        return bool(self.groups(index)['groups'])

    def adapter(self, index):
        """The adapter of a request.

        Returns:
            tuple[dict[str, Tensor], dict]: Tensors and metadata.

        Raises:
            ForgetError: If it is gone or damaged.
        """
        path = self.folder(index) / ADAPTER
        try:
            tensors, about = load_adapter(path)
        except ValueError as err:
            raise ForgetError(f'{err}; restore it') from err
        for key in ('base_fingerprint', 'merged_fingerprint', 'scaling'):
            if key not in about:
                raise ForgetError(f'{path} lacks {key} in its metadata; '
                                  'restore it')
        scaling = about['scaling']
        values = scaling.values() if isinstance(scaling, dict) else [scaling]
        if not all(isinstance(v, (int, float)) for v in values):
            raise ForgetError(f'{path} has a scaling that is no number; '
                              'restore it')
        return tensors, about

    def has_merged(self, index):
        """bool: Whether the merged checkpoint of a request is there."""
        return (self.folder(index) / MERGED).is_file()

    def merged(self, index):
        """The merged checkpoint of a request.

        Returns:
            tuple[dict[str, Tensor], dict]: State and meta.

        Raises:
            ForgetError: If it is gone, damaged or not what was trained.
        """
        path = self.folder(index) / MERGED
        state, meta = load_plain_state(path)
        expected = (meta.get('gslora') or {}).get('merged_fingerprint')
        if fingerprint(state) != expected:
            raise ForgetError(f'{path} is not the checkpoint that this run '
                              'wrote; restore it, or remove it to have it '
                              'made again from base and adapters')
        return state, meta

    def step(self, state, index):
        """Put the adapter of a request on the weights before it.

        Args:
            state (dict[str, Tensor]): The weights it belongs to.
            index (int): The request.

        Returns:
            dict[str, Tensor]: The weights after it, those that were trained
            to the bit.

        Raises:
            ForgetError: If the adapter is not for these weights or makes
                others than it did.
        """
        tensors, about = self.adapter(index)
        path = self.folder(index) / ADAPTER
        try:
            found = merge_state_dict(state, tensors, about['scaling'],
                                     about['base_fingerprint'])
        except ValueError as err:
            raise ForgetError(f'{path} does not fit the weights before it: '
                              f'{err}') from err
        self.remade[index] = 'base and adapters'
        if fingerprint(found) == about['merged_fingerprint']:
            return found
        return self._written(index, found, about)

    def _written(self, index, found, about):
        """What the run wrote, where an adapter gives other roundings."""
        if self.has_merged(index):
            state, _ = self.merged(index)
            same_run = fingerprint(state) == about['merged_fingerprint']
            if same_run and state.keys() == found.keys():
                gap = max(
                    float((state[k].double() - v.double()).abs().max())
                    for k, v in found.items() if v.numel())
                if gap <= _LARGEST_ROUNDING:
                    self.remade[index] = (f'{MERGED}; base and adapters '
                                          f'differ from it by {gap:.1e}')
                    return state
        raise ForgetError(
            f'{self.folder(index) / ADAPTER} makes other weights than those '
            'that were trained; restore it' +
            ('' if self.has_merged(index) else f', or {MERGED} beside it'))

    def remake(self, index):
        """The weights after a request, from the base and all adapters.

        A request without LoRA has none: there the merged checkpoint stands
        for it.

        Args:
            index (int): The request; 0 is the base.

        Returns:
            dict[str, Tensor]: The weights.
        """
        return self._forward(self.base()[1], 0, index)

    def state(self, index):
        """The weights after a request, the shortest way.

        Args:
            index (int): The request; 0 is the base.

        Returns:
            dict[str, Tensor]: Those of its merged checkpoint; where that is
            gone, the same from the nearest one before it and the adapters.
        """
        first = index
        while first and not self.has_merged(first):
            first -= 1
        if not first:
            return self.remake(index)
        self.remade[first] = MERGED
        return self._forward(self.merged(first)[0], first, index)

    def _forward(self, state, done, index):
        for i in range(done + 1, index + 1):
            if self.has_lora(i):
                state = self.step(state, i)
            elif self.has_merged(i):
                state, meta = self.merged(i)
                self.remade[i] = f'{MERGED}, as there is no adapter'
            else:
                raise ForgetError(
                    f'{self.folder(i) / MERGED} is gone, and without LoRA '
                    'there is no adapter to make it again; restore it')
        return state

    def meta(self, index):
        """What the merged checkpoint of a request says of itself."""
        if self.has_merged(index):
            return self.merged(index)[1].get('gslora') or {}
        about = self.adapter(index)[1]
        keys = ('request', 'classes', 'forgotten', 'base_fingerprint',
                'merged_fingerprint', 'ema')
        return dict(merged=True, **{k: about[k] for k in keys if k in about})
