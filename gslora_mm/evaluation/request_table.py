"""The numbers of erasure requests: sets, metrics, tables."""
import math

from ..datasets.requests import check_class_names
from ..utils.errors import ForgetError
from .h_mean import h_mean
from .measure import ALL, DETECTION, measure_of

# Parts of a row that are a dict of values.
_SECTIONS = ('gallery', 'ema')

SETS = dict(f='forget', r='retain', o='old', m='unseen')


def class_sets_for_requests(requests, unseen=()):
    """Class sets that measure some requests.

    Args:
        requests (Iterable[Request]): Objects with ``index`` (from 1),
            ``classes``, ``forgotten`` (classes of all earlier requests) and
            ``retain``.
        unseen (Sequence[str]): Classes whose images no request trains with.

    Returns:
        dict[str, list[str]]: ``'{index:02d}_forget'``, ``'..._retain'``; if
        anything was forgotten before, ``'..._old'``; and ``'..._unseen'``,
        the unseen classes that are retained, if there are any. These are in
        ``'..._retain'`` as well, as in the published missing-class table:
        ``class_sets`` of :class:`ForgetCocoMetric` and
        :class:`ForgetAccuracyMetric`.

    Raises:
        ForgetError: If an unseen class is unknown.
    """
    sets = dict()
    for request in requests:
        kept, gone = list(request.retain), list(request.forgotten)
        check_class_names(unseen, [*request.classes, *gone, *kept],
                          'the list of unseen classes')
        sets[f'{request.index:02d}_forget'] = list(request.classes)
        sets[f'{request.index:02d}_retain'] = kept
        if gone:
            sets[f'{request.index:02d}_old'] = gone
        missing = [name for name in kept if name in unseen]
        if missing:
            sets[f'{request.index:02d}_unseen'] = missing
    return sets


def request_metrics(base_report, before_report, after_report, request_index):
    """Metrics of one request.

    Args:
        base_report (dict): ``report`` of :class:`ForgetCocoMetric` or
            :class:`ForgetAccuracyMetric` of the pre-trained model, with the
            class sets of this request.
        before_report (dict): The same right before the request.
        after_report (dict): The same after it.
        request_index (int): Which request, from 1.

    Returns:
        dict[str, dict]: For each protocol ('paper' and 'coco'; 'top1' and,
        with a margin head, 'margin'): ``AP_f``, ``AP_r``, ``AP_o`` (classes
        of earlier requests; None if there are none), ``AP_m`` (retained
        classes that training never saw; not there if there are none) and
        ``AP50_f``, ... after the request; ``AP_f_before``, ``AP_r_before``
        right before it; ``AP_f_base``, ``AP_r_base``, ``AP_o_base`` of the
        pre-trained model; ``H`` against the latter (see :func:`h_mean`);
        ``retention = AP_r / AP_r_base``; ``per_class`` and
        ``per_class_AP50`` after the request, of all classes. Of classifiers
        the same with ``Acc`` and, if measured, ``Acc5``. Values in [0, 1];
        None where there is no ground truth.

    Raises:
        ForgetError: If a report lacks a set or protocol of this request.
    """
    reports = dict(base=base_report, before=before_report, after=after_report)
    return {
        protocol: _protocol_metrics(reports, request_index, protocol)
        for protocol in measure_of(after_report).protocols_of(after_report)
    }


def _protocol_metrics(reports, index, protocol):

    def of(when, what):
        return set_values(reports[when], index, what, protocol, when)

    measure, after = measure_of(reports['after']), reports['after']
    score, metrics = measure.score, dict()
    details = [d for d in measure.details() if d[0] in after[ALL][protocol]]
    sets = sets_of(after, index)
    for key, _ in details:
        for short, what in sets.items():
            metrics[f'{key}_{short}'] = of('after', what).get(key)
            if key == score:
                metrics[f'{key}_{short}_base'] = of('base', what).get(key)
    for short, what in sets.items():
        if what != 'old':
            metrics[f'{score}_{short}_before'] = of('before', what)[score]
    retain, base = metrics[f'{score}_r'], metrics[f'{score}_r_base']
    metrics['H'] = _h_or_none(retain, metrics[f'{score}_f_base'],
                              metrics[f'{score}_f'])
    metrics['retention'] = retain / base if base else None
    for _, key in details:
        # Each class is in one of the three sets, which matters in 'paper'.
        metrics[key] = {
            name: value
            for what in ('forget', 'retain', 'old')
            for name, value in of('after', what).get(key, {}).items()
        }
    return metrics


def sets_of(report, index):
    """dict[str, str]: Letter and name of each set that a request has."""
    return {
        short: what
        for short, what in SETS.items()
        if what != 'unseen' or f'{index:02d}_{what}' in report['sets']
    }


def set_values(report, index, what, protocol, when, file='report.json'):
    """Values of one class set of a request, in one protocol.

    Args:
        report (dict): A report with class sets.
        index (int): Which request, from 1.
        what (str): Which of its sets, e.g. 'forget'.
        protocol (str): Which of its protocols.
        when (str): What the report is, for the message.
        file (str): Where reports of its kind lie, for the message.

    Returns:
        dict: The values; empty for the old classes of the first request.

    Raises:
        ForgetError: If the report lacks them.
    """
    name = f'{index:02d}_{what}'
    if name in report['sets']:
        if protocol in report['sets'][name]:
            return report['sets'][name][protocol]
        lack = f'protocol {protocol!r}'
    elif what == 'old' and index == 1:
        return {}
    else:
        lack = f'class set {name!r}'
    raise ForgetError(f'the {when} report has no {lack}; remove its {file} '
                      'and --resume to evaluate again')


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
        all metrics that are one number, what else the row holds, and the
        values of its ``gallery`` and ``ema`` as ``gallery_{name}`` and
        ``ema_{name}``.
    """
    measure = measure_of(rows[0]) if rows else DETECTION
    flat = []
    for row in rows:
        cost = {
            k: v
            for k, v in row.items()
            if k not in ('request', 'classes', *_SECTIONS, *measure.protocols)
        }
        for section in _SECTIONS:
            cost.update((f'{section}_{k}', v)
                        for k, v in _plain(row.get(section) or {}).items())
        for protocol in measure.protocols_of(row):
            flat.append(
                dict(
                    request=row['request'],
                    classes=', '.join(row['classes']),
                    protocol=protocol,
                    **_plain(row[protocol]),
                    **cost))
    return flat


def _plain(content):
    return {
        k: v
        for k, v in content.items() if not isinstance(v, (dict, list))
    }
