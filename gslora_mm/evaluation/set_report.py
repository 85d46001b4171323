"""The report of class sets: one evaluation, several protocols."""
import math

import numpy as np

from ..utils.errors import ForgetError
from .measure import ALL, DETECTION, measure_of


def checked_sets(class_sets, metric):
    """Check the ``class_sets`` of a metric.

    Args:
        class_sets (dict[str, list[str]]): Class names of each set.
        metric (str): Whose they are, for the message.

    Returns:
        dict[str, list[str]]: The same, each class once in each set.

    Raises:
        ForgetError: If a set is no list or takes the name of all classes.
    """
    for name, members in class_sets.items():
        if name == ALL or isinstance(members, str):
            raise ForgetError(
                f'class set {name!r} of {metric}: {members!r}; give each set '
                f"a list of class names, and no set the name '{ALL}'")
    # A class named twice must not weigh twice.
    return {k: list(dict.fromkeys(v)) for k, v in class_sets.items()}


def build_report(evaluation, truth, classes, cat_ids, class_sets):
    """Read the AP of every class set from one evaluation.

    Args:
        evaluation (SubsetCOCOeval): Evaluated on all classes.
        truth (COCO): Its ground truth.
        classes (Sequence[str]): All classes.
        cat_ids (Sequence[int]): Category of each class.
        class_sets (dict[str, list[str]]): Class names of each set.

    Returns:
        dict: The report described at :class:`ForgetCocoMetric`.
    """
    ids = dict(zip(classes, cat_ids))
    evaluated = set(evaluation.params.imgIds)
    everywhere = evaluation.average_precision(cat_ids, evaluated)

    def measure(members):
        wanted = {name: ids[name] for name in members}
        images = {
            image
            for i in wanted.values()
            for image in evaluated.intersection(truth.catToImgs[i])
        }
        inside = evaluation.average_precision(wanted.values(), images)
        return dict(
            classes=list(members),
            num_images=len(images),
            coco=_values(wanted, everywhere),
            paper=_values(wanted, inside))

    return {
        ALL: measure(classes),
        'sets': {
            k: measure(v)
            for k, v in class_sets.items()
        }
    }


def flatten_report(report):
    """dict[str, float]: E.g. ``{protocol}/AP_{set}``; NaN for None."""
    flat, measure = dict(), measure_of(report)
    for name, content in {ALL: report[ALL], **report['sets']}.items():
        for protocol in (p for p in content if p in measure.protocols):
            for key in (measure.score, measure.secondary):
                if key in content[protocol]:
                    value = content[protocol][key]
                    flat[f'{protocol}/{key}_{name}'] = (
                        math.nan if value is None else value)
    return flat


def _values(ids, table):
    values = dict()
    for column, (mean, detail) in enumerate(DETECTION.details()):
        detailed = {name: table[i][column] for name, i in ids.items()}
        known = [v for v in detailed.values() if v is not None]
        values[mean] = float(np.mean(known)) if known else None
        values[detail] = detailed
    return values
