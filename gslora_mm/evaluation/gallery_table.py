"""The gallery test of a request, before and after."""
from .measure import ALL
from .request_table import set_values, sets_of

REPORT = 'gallery_report.json'
NEW, OLD = 'new_templates', 'old_templates'


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
        ``tar_f_old_templates``, ...; ``num_probes_f``, ...;
        ``not_enrolled``, ``chance`` and ``far``; and ``per_class``, rank-1
        after the request.

    Raises:
        ForgetError: If a report lacks a set of this request.
    """
    reports = dict(base=base_report, before=before_report, after=after_report)

    def of(when, what, kind=NEW):
        return set_values(reports[when], request_index, what, kind, when,
                          REPORT)

    whole = after_report[ALL]
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
        metrics[f'num_probes_{short}'] = of('after', what).get('num_probes', 0)
    metrics['per_class'] = dict(whole[NEW]['per_class'])
    return metrics
