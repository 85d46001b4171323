"""The report of class sets: one evaluation, two protocols."""
import math

import numpy as np

ALL = 'all'
_KEYS = (('AP', 'per_class'), ('AP50', 'per_class_AP50'))


def build_report(evaluation, truth, classes, cat_ids, class_sets):
    """Read the AP of every class set from one evaluation.

    Args:
        evaluation (SubsetCOCOeval): Evaluated on all images and classes.
        truth (COCO): Its ground truth.
        classes (Sequence[str]): All classes.
        cat_ids (Sequence[int]): Category of each class.
        class_sets (dict[str, list[str]]): Class names of each set.

    Returns:
        dict: The report described at :class:`ForgetCocoMetric`.
    """
    ids = dict(zip(classes, cat_ids))
    everywhere = evaluation.average_precision(cat_ids, truth.imgs)

    def measure(members):
        wanted = {name: ids[name] for name in members}
        images = {
            image
            for i in wanted.values()
            for image in truth.catToImgs[i]
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
    """dict[str, float]: ``{protocol}/{AP|AP50}_{set}``; NaN for None."""
    flat = dict()
    for name, content in {ALL: report[ALL], **report['sets']}.items():
        for protocol in ('coco', 'paper'):
            for key in ('AP', 'AP50'):
                value = content[protocol][key]
                flat[f'{protocol}/{key}_{name}'] = (
                    math.nan if value is None else value)
    return flat


def _values(ids, table):
    values = dict()
    for column, (mean, detail) in enumerate(_KEYS):
        detailed = {name: table[i][column] for name, i in ids.items()}
        known = [v for v in detailed.values() if v is not None]
        values[mean] = float(np.mean(known)) if known else None
        values[detail] = detailed
    return values
