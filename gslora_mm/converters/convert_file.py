"""From a foreign checkpoint file to one of mmpretrain."""
from pathlib import Path

from ..engine.checkpoints import save_plain
from ..utils import ForgetError
from .fit import check_fit
from .formats import FORMATS, convert, detect_format
from .reading import read_foreign_state


def convert_file(source,
                 out,
                 format=None,
                 rows=None,
                 config=None,
                 force=False):
    """Convert a checkpoint file; write it whole or not at all.

    Args:
        source (str | Path): The foreign checkpoint.
        out (str | Path): The file to write, with a ``state_dict`` for
            ``load_from`` and in ``meta`` where it comes from.
        format (str, optional): See :func:`~gslora_mm.converters.convert`.
        rows (list[int], optional): Head rows to keep.
        config (str, optional): Config whose model the result has to fit.
        force (bool): Whether to replace ``out``. Defaults to False.

    Returns:
        tuple[str, int, list[str]]: Format, number of tensors written, notes.

    Raises:
        ForgetError: If the source cannot be read or converted, the result
            does not fit, or ``out`` is in the way.
    """
    _check_out(Path(source), Path(out), force)
    state = read_foreign_state(source)
    try:
        name = format or detect_format(state)
        new, notes = convert(state, name, rows)
    except ForgetError as err:
        raise ForgetError(f'{source}: {err}') from err
    if config:
        check_fit(new, FORMATS[name], config)
    save_plain(out, new, dict(converted_from=name, head_rows=rows))
    return name, len(new), notes


def _check_out(source, out, force):
    if out.is_dir():
        raise ForgetError(f'{out} is a folder; name a file in it')
    if not out.exists():
        return
    if source.exists() and source.samefile(out):
        raise ForgetError(f'{out} is the checkpoint to convert; choose '
                          'another name for the result')
    if not force:
        raise ForgetError(f'{out} exists; choose another name, or replace it '
                          'with --force')
