"""The numbers of erasure requests: sets, metrics, tables."""
import math

from ..utils.errors import ForgetError
from .h_mean import h_mean

PROTOCOLS = ('paper', 'coco')


def class_sets_for_requests(requests):
    """Class sets that measure some requests.

    Args:
        requests (Iterable[Request]): Objects with ``index`` (from 1),
            ``classes``, ``forgotten`` (classes of all earlier requests) and
            ``retain``.

    Returns:
        dict[str, list[str]]: ``'{index:02d}_forget'``, ``'..._retain'`` and,
        if anything was forgotten before, ``'..._old'``: ``class_sets`` of
        :class:`ForgetCocoMetric`.
    """
    sets = dict()
    for request in requests:
        sets[f'{request.index:02d}_forget'] = list(request.classes)
        sets[f'{request.index:02d}_retain'] = list(request.retain)
        if request.forgotten:
            sets[f'{request.index:02d}_old'] = list(request.forgotten)
    return sets


def request_metrics(base_report, before_report, after_report, request_index):
    """Metrics of one request.

    Args:
        base_report (dict): ``ForgetCocoMetric.report`` of the pre-trained
            model, with the class sets of this request.
        before_report (dict): The same right before the request.
        after_report (dict): The same after it.
        request_index (int): Which request, from 1.

    Returns:
        dict[str, dict]: For the protocols 'paper' and 'coco': ``AP_f``,
        ``AP_r``, ``AP_o`` (classes of earlier requests; None if there are
        none) and ``AP50_f``, ... after the request; ``AP_f_before``,
        ``AP_r_before`` right before it; ``AP_f_base``, ``AP_r_base``,
        ``AP_o_base`` of the pre-trained model; ``H`` against the latter
        (see :func:`h_mean`); ``retention = AP_r / AP_r_base``;
        ``per_class`` and ``per_class_AP50`` after the request, of all
        classes. AP in [0, 1]; None where there is no ground truth.

    Raises:
        ForgetError: If a report lacks a set of this request.
    """
    reports = dict(base=base_report, before=before_report, after=after_report)
    return {
        protocol: _protocol_metrics(reports, request_index, protocol)
        for protocol in PROTOCOLS
    }


def _protocol_metrics(reports, index, protocol):

    def of(when, what):
        return _values(reports[when], index, what, protocol, when)

    metrics = dict()
    for key in ('AP', 'AP50'):
        for short, what in dict(f='forget', r='retain', o='old').items():
            metrics[f'{key}_{short}'] = of('after', what).get(key)
            if key == 'AP':
                metrics[f'AP_{short}_base'] = of('base', what).get(key)
    for short, what in dict(f='forget', r='retain').items():
        metrics[f'AP_{short}_before'] = of('before', what)['AP']
    metrics['H'] = _h_or_none(metrics['AP_r'], metrics['AP_f_base'],
                              metrics['AP_f'])
    base = metrics['AP_r_base']
    metrics['retention'] = metrics['AP_r'] / base if base else None
    for key in ('per_class', 'per_class_AP50'):
        # Each class is in one of the three sets, which matters in 'paper'.
        metrics[key] = {
            name: value
            for what in ('forget', 'retain', 'old')
            for name, value in of('after', what).get(key, {}).items()
        }
    return metrics


def _values(report, index, what, protocol, when):
    name = f'{index:02d}_{what}'
    if name in report['sets']:
        return report['sets'][name][protocol]
    if what == 'old' and index == 1:
        return {}
    raise ForgetError(
        f'the {when} report has no class set {name!r}; remove its '
        'report.json and --resume to evaluate again')


def _h_or_none(*values):
    if None in values:
        return None
    h = h_mean(*values)
    return None if math.isnan(h) else h


def to_csv_rows(rows):
    """Rows of a table, one per request and protocol, of plain values.

    Args:
        rows (list[dict]): As in :func:`format_table`.

    Returns:
        list[dict]: ``request``, ``classes`` (joined by ', '), ``protocol``,
        all metrics that are one number, and what else the row holds.
    """
    flat = []
    for row in rows:
        cost = {
            k: v
            for k, v in row.items()
            if k not in ('request', 'classes') + PROTOCOLS
        }
        for protocol in PROTOCOLS:
            numbers = {
                k: v
                for k, v in row[protocol].items() if not isinstance(v, dict)
            }
            flat.append(
                dict(
                    request=row['request'],
                    classes=', '.join(row['classes']),
                    protocol=protocol,
                    **numbers,
                    **cost))
    return flat
