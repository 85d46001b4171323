"""The gallery test of a request, before and after."""
import io

from rich.console import Console
from rich.table import Table

from .measure import ALL
from .request_table import set_values, sets_of
from .table_format import _RULES, _num, _short

REPORT = 'gallery_report.json'
NEW, OLD = 'new_templates', 'old_templates'
_CLASSES_WIDTH = 16
_HEADERS = dict(rank1='rank-1', tar='TAR')


def gallery_metrics(base_report, before_report, after_report, request_index):
    """Gallery numbers of one request, the parallel of request_metrics.

    Main numbers are those of identities enrolled by the model that is
    tested (``new_templates``): the harder test of forgetting, as a system
    that enrols again gives the model its chance.

    Args:
        base_report (dict): :func:`gallery_report` of the pre-trained model,
            with the class sets of this request.
        before_report (dict): The same right before the request.
        after_report (dict): The same after it; may hold ``old_templates``.
        request_index (int): Which request, from 1.

    Returns:
        dict: ``rank1_f``, ``rank1_r``, ``rank1_o`` (None if there is nothing
        old), ``rank1_m`` (not there without unseen classes) and ``tar_f``,
        ... after the request; ``rank1_f_base``, ``rank1_f_before``, ... as in
        :func:`request_metrics`; with old templates ``rank1_f_old_templates``,
        ``rank1_f_old_templates_before``, ``tar_f_old_templates``, ...;
        ``num_probes_f``, ...; ``not_enrolled``, ``chance`` and ``far``; and
        ``per_class``, rank-1 after the request.

    Raises:
        ForgetError: If a report lacks a set of this request.
    """
    reports = dict(base=base_report, before=before_report, after=after_report)

    def of(when, what, kind=NEW):
        return set_values(reports[when], request_index, what, kind, when,
                          REPORT)

    whole = after_report[ALL]
    # Of the pre-trained model, both kinds of templates are the same.
    earlier = OLD if OLD in before_report[ALL] else NEW
    metrics = dict(
        chance=whole[NEW]['chance'],
        far=after_report['far'],
        not_enrolled=whole[NEW]['not_enrolled'])
    for short, what in sets_of(after_report, request_index).items():
        for key in ('rank1', 'tar'):
            name = f'{key}_{short}'
            metrics[name] = of('after', what).get(key)
            metrics[f'{name}_base'] = of('base', what).get(key)
            if what != 'old':
                metrics[f'{name}_before'] = of('before', what)[key]
            if OLD in whole:
                metrics[f'{name}_{OLD}'] = of('after', what, OLD).get(key)
                if what != 'old':
                    metrics[f'{name}_{OLD}_before'] = of(
                        'before', what, earlier)[key]
        metrics[f'num_probes_{short}'] = of('after', what).get('num_probes', 0)
    metrics['per_class'] = dict(whole[NEW]['per_class'])
    return metrics


def format_gallery(rows):
    """Render the gallery test as text, one line per request and templates.

    Plain ASCII, like :func:`format_table`, which shows the main numbers only.

    Args:
        rows (list[dict]): ``request`` (int), ``classes`` (list[str]) and
            ``gallery``, see :func:`gallery_metrics`; rows without are left
            out.

    Returns:
        str: The table below a line that explains it; empty if there is
        nothing to show.
    """
    rows = [row for row in rows if row.get('gallery')]
    if not rows:
        return ''
    shown = _columns(rows)
    table = Table(
        box=_RULES, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for header in ('#', 'classes', 'templates', *shown.values()):
        table.add_column(header, no_wrap=True)
    for row in rows:
        once = [str(row['request']), _short(row['classes'], _CLASSES_WIDTH)]
        for kind, suffix in _kinds(row['gallery']):
            cells = [_cell(row['gallery'], key, suffix) for key in shown]
            table.add_row(*once, kind, *cells)
            once = ['', '']
        table.add_section()
    # Class names are data, not markup; nothing may be cut.
    console = Console(
        file=io.StringIO(), width=1000, color_system=None, markup=False,
        emoji=False, highlight=False, force_terminal=False,
        legacy_windows=False)  # yapf: disable
    console.print(table)
    lines = [x.rstrip() for x in console.file.getvalue().splitlines()]
    return '\n'.join(_explanation(rows, shown) + lines)


def _columns(rows):
    """dict[str, str]: Key and header of what was measured at all."""
    shown = {}
    for short in ('f', 'r', 'o', 'm'):
        for key, header in _HEADERS.items():
            if short in 'fr' or any(
                    row['gallery'].get(f'{key}_{short}') is not None
                    for row in rows):
                shown[f'{key}_{short}'] = f'{header} {short}'
    return shown


def _kinds(found):
    old = any(key.endswith(OLD) for key in found)
    return [('new', ''), *([('old', f'_{OLD}')] if old else [])]


def _cell(found, key, suffix):
    after = _num(found.get(f'{key}{suffix}'))
    before = f'{key}{suffix}_before'
    # There is nothing old right before the first request.
    return f'{_num(found.get(before))} -> {after}' if before in found or (
        key[-1] in 'fr') else after


def _explanation(rows, shown):
    """Lines that say what the columns are, and why there may be none."""
    found = rows[0]['gallery']
    far, lacking = found.get('far'), found.get('not_enrolled')
    text = ['gallery: rank-1 by cosine of the embeddings']
    if found.get('chance') is not None:
        text.append(f'chance {found["chance"]:.3f}')
    if far is not None:
        text.append(f'TAR at FAR {far:g}')
    lines = [', '.join(text)]
    if lacking:
        lines.append('classes without gallery images, not enrolled: '
                     f'{lacking}')
    if any(key.endswith(OLD) for row in rows for key in row['gallery']):
        lines.append('templates: new, enrolled by the model that is tested; '
                     'old, enrolled by the base model')
    if far is not None and any(row['gallery'].get('tar_r') is None
                               for row in rows):
        lines.append(f'TAR -: fewer than {1 / far:.0f} pairs of different '
                     'retained classes; raise forget.gallery.far')
    return lines
