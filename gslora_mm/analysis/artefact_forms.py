"""The files of a run, read as untrusted input."""
from ..evaluation.measure import ALL, measure_of
from ..utils import (COUNT, EVERY, MEASURED, NUMBER, ForgetError, check_form,
                     read_form)

_TABLE = {EVERY: MEASURED}
_GROUP = {
    'name': str,
    'norm': NUMBER,
    'zero': bool,
    'parameters': COUNT,
    'layers': [str]
}
_GROUPS = {
    'trained_tensors?': [str],
    'history?': [[NUMBER]],
    'zero_groups?': COUNT,
    'zero_ratio?': NUMBER,
    'unchanged_tensors?': COUNT,
    'adapter_bytes?': COUNT
}
_TRAINING = {
    'seconds': NUMBER,
    'peak_memory_mb?': NUMBER,
    'iterations?': COUNT,
    'trained_parameters?': COUNT,
    'total_parameters?': COUNT,
    'stored_bytes?': COUNT
}
_RECORD = {
    'config_digest?': str,
    'base_fingerprint?': str,
    'config?': {
        'load_from?': str,
        'forget?': {
            'requests?': (list, str)
        }
    }
}


def read_record(path):
    """Read ``run.json``; raises a ForgetError if it is damaged."""
    return read_form(path, _RECORD)


def read_groups(path, whole=False):
    """Read ``groups.json``.

    Args:
        path (Path): The file.
        whole (bool): Whether names, layers and norms of the groups are
            needed, not their number and size alone. Defaults to False.

    Returns:
        dict: Its content.

    Raises:
        ForgetError: If it is damaged.
    """
    rows = _GROUP if whole else {'parameters': COUNT}
    return read_form(path, dict(_GROUPS, groups=[rows]))


def read_training(path):
    """Read ``training.json``; raises a ForgetError if it is damaged."""
    return read_form(path, _TRAINING)


def read_gallery(path):
    """Read ``gallery.json``; raises a ForgetError if it is damaged."""
    found = read_form(path, dict)
    check_form(
        found,
        {key: _TABLE if key == 'per_class' else MEASURED
         for key in found}, str(path))
    return found


def read_metrics(path):
    """Read ``metrics.json``.

    Args:
        path (Path): The file.

    Returns:
        dict: See :func:`~gslora_mm.evaluation.request_metrics`.

    Raises:
        ForgetError: If it is damaged.
    """
    row = read_form(path, {'request': COUNT, 'classes': [str]})
    if not row['classes']:
        raise ForgetError(f'{path} is damaged: it names no class; restore or '
                          'remove it')
    measure = measure_of(row)
    for protocol in measure.protocols_of(row):
        check_form(row[protocol], _row_form(measure, row[protocol]),
                   f'{protocol} in {path}')
    return row


def _row_form(measure, values):
    known = {}
    for key in ('H', *(f'{measure.score}_{letter}' for letter in 'fr')):
        known[key] = MEASURED
    if not isinstance(values, dict):
        return known
    for key in values:
        known[key] = _TABLE if str(key).startswith('per_class') else MEASURED
    return known


def read_report(path):
    """Read ``report.json``.

    Args:
        path (Path): The file.

    Returns:
        dict: What a metric found; see
        :class:`~gslora_mm.evaluation.ForgetCocoMetric`.

    Raises:
        ForgetError: If it is damaged.
    """
    report = read_form(path, {ALL: dict})
    measure = measure_of(report)
    check_form(report, {'sets': {EVERY: dict}}, str(path))
    for name, values in ((ALL, report[ALL]), *report['sets'].items()):
        for protocol in measure.protocols:
            if protocol in values or protocol == measure.protocols[0]:
                check_form(values, {protocol: _score_form(measure)},
                           f'the set {name} in {path}')
    return report


def _score_form(measure):
    form = {measure.score: MEASURED}
    for key, table in measure.details():
        form.setdefault(f'{key}?', NUMBER)
        form[f'{table}?'] = _TABLE
    return form
