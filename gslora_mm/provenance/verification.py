"""What a verification finds, and the comparison of one file."""
import os.path as osp
from dataclasses import dataclass, field

from ..utils import ForgetError, counted, shown
from .digests import TENSOR_FILES, file_digest, read_tensor_digests


@dataclass
class Verification:
    """What was found.

    Attributes:
        head (str): Digest of the last manifest.
        links (list[dict]): ``file``, ``kind``, ``what`` and ``end`` of every
            manifest.
        faults (list[dict]): ``file``, ``fault`` (``missing``, ``altered`` or
            ``wrong``) and ``detail``; empty if all is whole.
        checked (int): How many files were compared with their digests.
        unknown (list[str]): Files of the run that no manifest covers.
        notes (list[str]): What else there is to know.
        base (str): Where the base checkpoint was looked for.
        proof (dict): What the release shares with the base; see
            :func:`~gslora_mm.provenance.release_proof.prove_release`.
    """
    head: str = None
    links: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    checked: int = 0
    unknown: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    base: str = None
    proof: dict = None

    @property
    def whole(self):
        """bool: Whether nothing is missing, altered or wrong."""
        return not self.faults

    def fault(self, file, kind, detail):
        """Add a fault."""
        self.faults.append(dict(file=shown(file), fault=kind, detail=detail))

    def content(self):
        """dict: Everything, for JSON."""
        return dict(vars(self), whole=self.whole)


def check_file(path, label, about, found):
    """Compare one file with what a manifest says of it.

    Args:
        path (Path): The file.
        label (str): What it is called.
        about (dict): ``bytes``, ``sha256`` and perhaps ``tensors``.
        found (Verification): Faults are added here.

    Returns:
        bool: Whether it is as it was.
    """
    found.checked += 1
    if not osp.isfile(path):
        found.fault(label, 'missing', f'it had {about["bytes"]} bytes')
        return False
    size, digest = path.stat().st_size, file_digest(path)
    if digest == about['sha256'] and size == about['bytes']:
        return True
    detail = digests(digest, about['sha256'])
    if size != about['bytes']:
        detail += f'; {size} bytes, recorded {about["bytes"]}'
    if path.suffix in TENSOR_FILES and about.get('tensors') is not None:
        detail += f'; {_tensor_detail(path, about["tensors"])}'
    found.fault(label, 'altered', detail)
    return False


def digests(actual, recorded):
    """str: Two digests in words."""
    return f'sha256 {actual[:16]}..., recorded {shown(recorded)[:16]}...'


def _tensor_detail(path, recorded):
    """Which tensors of an altered file are others, in words."""
    try:
        actual = read_tensor_digests(path)
    except ForgetError as err:
        return f'it can no longer be read ({str(err)[:200]})'
    faults = [
        f'{counted(len(names), "tensor")} {what}: {listed(names)}'
        for what, names in (('altered',
                             [k for k in recorded
                              if k in actual and actual[k] != recorded[k]]),
                            ('missing', [k for k in recorded
                                         if k not in actual]),
                            ('added', [k for k in actual
                                       if k not in recorded]))
        if names
    ]  # yapf: disable
    return '; '.join(faults) or ('every tensor is as it was: something else '
                                 'in the file was altered')


def listed(names, count=5):
    """Names from a file on one line, the first ones.

    Args:
        names (list[str]): The names.
        count (int): How many to spell out.

    Returns:
        str: The text.
    """
    more = f' and {len(names) - count} more' if len(names) > count else ''
    return ', '.join(map(shown, names[:count])) + more
