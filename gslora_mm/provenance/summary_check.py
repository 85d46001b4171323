"""Whether the summary says what the files of the requests say."""
import json
from pathlib import Path

from ..analysis.summary import read_requests, render_summary
from ..utils import ForgetError


def summary_faults(work_dir):
    """Compare ``summary.json`` and ``.md`` with what they are made from.

    No manifest covers them, as every start of the run writes them anew.

    Args:
        work_dir (str | Path): Folder of the run.

    Returns:
        list[tuple[str, str, str]]: File, kind of fault and detail.
    """
    work_dir = Path(work_dir)
    path = work_dir / 'summary.json'
    if not path.is_file():
        return []
    detail = ('it is not what the files of the requests give; '
              'tools/train.py --resume writes it anew')
    try:
        base = json.loads((work_dir / 'base/report.json').read_bytes())['all']
        rows = read_requests(work_dir)
        text = json.dumps(dict(base=base, requests=rows), indent=2) + '\n'
        shown = render_summary(dict(base=base, requests=rows))
    except (ForgetError, OSError, ValueError, KeyError, TypeError):
        # What it is made from is damaged, and that is a fault of its own.
        return []
    faults = []
    if path.read_bytes() != text.encode():
        faults.append((path.name, 'altered', detail))
    page = work_dir / 'summary.md'
    if page.is_file() and page.read_bytes() != (
            f'```\n{shown}\n```\n').encode():
        faults.append((page.name, 'altered', detail))
    return faults
