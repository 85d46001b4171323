"""The table that the tools print."""
import io

from rich import box
from rich.console import Console
from rich.table import Table

from .measure import DETECTION, measure_of

_WIDTH, _GALLERY_WIDTH = 110, 130
_CLASSES_WIDTH, _LEAST_CLASSES_WIDTH = 18, 8
_GALLERY = dict(rank1_f='rank-1 f', rank1_r='rank-1 r')
_COST = dict(zero_groups='zero', seconds='seconds')
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

    Plain ASCII without colours, at most 110 columns (130 with a gallery), so
    that it reads the same in a terminal, a log and a file. Names of classes
    are shortened for that, numbers never.

    Args:
        rows (list[dict]): ``request`` (int), ``classes`` (list[str]) and the
            protocols of :func:`request_metrics`; optional ``gallery`` (see
            :func:`gallery_metrics`), ``zero_groups`` ('k/G') and
            ``seconds`` (float).
        title (str, optional): Line above the table. Defaults to None.

    Returns:
        str: The table, without a newline at its end.
    """
    layout = _Layout(rows)
    lines = layout.render(rows)
    if _excess(lines, layout):
        layout.retain_header = layout.retain_header.replace(' (', '\n(', 1)
        lines = layout.render(rows)
    if _excess(lines, layout):
        used = max(len(_short(r['classes'], _CLASSES_WIDTH)) for r in rows)
        layout.classes_width = max(_LEAST_CLASSES_WIDTH,
                                   used - _excess(lines, layout))
        lines = layout.render(rows)
    return '\n'.join(([title] if title else []) + lines)


def _excess(lines, layout):
    return max(0, max(map(len, lines)) - layout.width)


class _Layout:
    """Which columns a table has, and how wide it may be."""

    def __init__(self, rows):
        self.measure = measure_of(rows[0]) if rows else DETECTION
        self.score = self.measure.score
        self.retain_header = f'{self.score}_r before (base) -> after'
        self.classes_width = _CLASSES_WIDTH
        self.unseen = any(f'{self.score}_m' in row[protocol] for row in rows
                          for protocol in self.measure.protocols_of(row))
        self.gallery = any(row.get('gallery') for row in rows)
        self.cost = [
            key for key in _COST if any(
                row.get(key) is not None for row in rows)
        ]
        self.width = _GALLERY_WIDTH if self.gallery else _WIDTH

    def render(self, rows):
        """list[str]: The lines of the table."""
        table = Table(
            box=_RULES, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        for header in self._headers():
            table.add_column(header, no_wrap=True)
        for row in rows:
            first = True
            for protocol in self.measure.protocols_of(row):
                table.add_row(*self._cells(row, protocol, first))
                first = False
            table.add_section()
        # Class names are data: [brackets] and :colons: are not markup. Wide,
        # as rich would cut what does not fit.
        console = Console(
            file=io.StringIO(), width=1000, color_system=None, markup=False,
            emoji=False, highlight=False, force_terminal=False,
            legacy_windows=False)  # yapf: disable
        console.print(table)
        return [line.rstrip() for line in console.file.getvalue().splitlines()]

    def _headers(self):
        unseen = [f'{self.score}_m'] if self.unseen else []
        gallery = _GALLERY.values() if self.gallery else []
        return [
            '#', 'classes', 'protocol', f'{self.score}_f', self.retain_header,
            f'{self.score}_o', *unseen, 'H', *gallery,
            *(_COST[key] for key in self.cost)
        ]

    def _cells(self, row, protocol, first):
        values = row[protocol]

        def num(name):
            return _num(values.get(f'{self.score}_{name}'))

        once = [
            str(row['request']),
            _short(row['classes'], self.classes_width)
        ]
        cells = [
            *(once if first else ('', '')), protocol,
            f'{num("f_before")} -> {num("f")}',
            f'{num("r_before")} ({num("r_base")}) -> {num("r")}',
            num('o'), *([num('m')] if self.unseen else []),
            _num(values['H'])
        ]  # yapf: disable
        rest = self._once_per_request(row)
        return cells + (rest if first else [''] * len(rest))

    def _once_per_request(self, row):
        """Cells that do not depend on the protocol."""
        found = row.get('gallery')
        cells = []
        for key in _GALLERY if self.gallery else ():
            cells.append(f'{_num(found.get(f"{key}_before"))} -> '
                         f'{_num(found.get(key))}' if found else '')
        for key in self.cost:
            value = row.get(key)
            if isinstance(value, float):
                value = f'{value:.0f}'
            cells.append('' if value is None else str(value))
        return cells


def _num(value):
    return '-' if value is None else f'{value:.3f}'


def _short(classes, width):
    """Class names on one line: as many as fit, then how many more."""
    for count in range(len(classes), 0, -1):
        rest = len(classes) - count
        text = ', '.join(classes[:count]) + (f' +{rest}' if rest else '')
        if len(text) <= width:
            return text
    rest = f' +{len(classes) - 1}' if len(classes) > 1 else ''
    return classes[0][:max(1, width - len(rest) - 2)] + '..' + rest
