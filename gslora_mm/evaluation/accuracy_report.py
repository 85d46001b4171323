"""The accuracy of class sets: one pass, several protocols."""
import numpy as np

from .measure import ALL, CLASSIFICATION

TOP = 5


def build_accuracy_report(table, classes, class_sets, protocols):
    """Read the accuracy of every class set from what each image was.

    Args:
        table (ndarray): (N, 1 + 2 * protocols), int. Of each image the
            label, then for each protocol whether it is a hit (1 or 0) and
            whether it is among the first :data:`TOP`.
        classes (Sequence[str]): All classes, in label order.
        class_sets (dict[str, list[str]]): Class names of each set.
        protocols (Sequence[str]): What the columns belong to.

    Returns:
        dict: The report described at :class:`ForgetAccuracyMetric`.
    """

    def measure(members):
        return _class_set(members, classes, table, protocols)

    return {
        ALL: measure(list(dict.fromkeys(classes))),
        'sets': {
            k: measure(v)
            for k, v in class_sets.items()
        }
    }


def _class_set(members, classes, table, protocols):
    # ImageNet has two classes of one name ('crane').
    rows = {
        name: table[np.isin(table[:, 0], labels)]
        for name, labels in _labels_of(members, classes).items()
    }
    inside = np.concatenate([table[:0], *rows.values()])
    content = dict(classes=list(members), num_images=len(inside))
    keys = CLASSIFICATION.details()[:1 + (len(classes) > TOP)]
    for k, protocol in enumerate(protocols):
        values = content[protocol] = dict()
        for column, (share, detail) in enumerate(keys, 1 + 2 * k):
            values[share] = _share(inside[:, column])
            values[detail] = {
                name: _share(part[:, column])
                for name, part in rows.items()
            }
    return content


def _labels_of(members, classes):
    labels = {name: [] for name in members}
    for label, name in enumerate(classes):
        if name in labels:
            labels[name].append(label)
    return labels


def _share(hits):
    return float(hits.mean()) if len(hits) else None
