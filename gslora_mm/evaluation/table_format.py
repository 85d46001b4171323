"""The table that the tools print."""
import io

from rich import box
from rich.console import Console
from rich.table import Table

from .request_table import PROTOCOLS

_WIDTH = 110
_CLASSES_WIDTH = 18
# Rules in ASCII, no vertical lines: narrow, and safe to print anywhere.
_RULES = box.Box(
    '    \n'
    '    \n'
    ' -- \n'
    '    \n'
    ' -- \n'
    '    \n'
    '    \n'
    '    \n',
    ascii=True)


def format_table(rows, title=None):
    """Render requests as text, one line per request and protocol.

    Plain ASCII without colours, at most 110 columns, so that it reads the
    same in a terminal, a log and a file.

    Args:
        rows (list[dict]): ``request`` (int), ``classes`` (list[str]),
            ``paper`` and ``coco`` of :func:`request_metrics`; optional
            ``zero_groups`` ('k/G') and ``seconds`` (float).
        title (str, optional): Line above the table. Defaults to None.

    Returns:
        str: The table, without a newline at its end.
    """
    extras = [
        key for key in ('zero_groups', 'seconds') if any(
            row.get(key) is not None for row in rows)
    ]
    table = Table(
        box=_RULES, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    headers = ('#', 'classes', 'protocol', 'AP_f', 'AP_r before (base) -> '
               'after', 'AP_o', 'H') + tuple(
                   dict(zero_groups='zero', seconds='seconds')[k]
                   for k in extras)
    for header in headers:
        table.add_column(header, no_wrap=True)
    for row in rows:
        for protocol in PROTOCOLS:
            table.add_row(*_cells(row, protocol, extras))
        table.add_section()
    # Class names are data: [brackets] and :colons: are not markup.
    console = Console(
        file=io.StringIO(), width=_WIDTH, color_system=None, markup=False,
        emoji=False, highlight=False, force_terminal=False,
        legacy_windows=False)  # yapf: disable
    console.print(table)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    return '\n'.join(([title] if title else []) + lines)


def _cells(row, protocol, extras):
    values = row[protocol]
    first = protocol == PROTOCOLS[0]
    cells = [
        str(row['request']) if first else '',
        _short(row['classes']) if first else '', protocol,
        f'{_num(values["AP_f_before"])} -> {_num(values["AP_f"])}',
        f'{_num(values["AP_r_before"])} ({_num(values["AP_r_base"])}) -> '
        f'{_num(values["AP_r"])}',
        _num(values['AP_o']),
        _num(values['H'])
    ]
    for key in extras:
        value = row.get(key) if first else None
        if isinstance(value, float):
            value = f'{value:.0f}'
        cells.append('' if value is None else str(value))
    return cells


def _num(value):
    return '-' if value is None else f'{value:.3f}'


def _short(classes):
    """Class names on one line: as many as fit, then how many more."""
    for count in range(len(classes), 0, -1):
        rest = len(classes) - count
        text = ', '.join(classes[:count]) + (f' +{rest}' if rest else '')
        if len(text) <= _CLASSES_WIDTH:
            return text
    rest = f' +{len(classes) - 1}' if len(classes) > 1 else ''
    return classes[0][:_CLASSES_WIDTH - len(rest) - 2] + '..' + rest
