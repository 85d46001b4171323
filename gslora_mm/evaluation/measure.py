"""What detectors and classifiers are measured by."""
from dataclasses import dataclass

from ..utils.errors import ForgetError

ALL = 'all'


@dataclass(frozen=True)
class Measure:
    """The words of one kind of report.

    Args:
        score (str): Name of the main number, e.g. 'AP'.
        protocols (tuple[str]): Ways to measure it, in the order of tables.
            The first is in every report, later ones may be missing.
        secondary (str): Name of the number beside it, e.g. 'AP50'; a report
            may do without.
        title (str): The main number in a sentence.
        overall (str): The protocol that speaks for a whole model.
    """
    score: str
    protocols: tuple
    secondary: str
    title: str
    overall: str

    def protocols_of(self, content):
        """tuple[str]: Protocols of a report, class set or metrics row."""
        content = content.get(ALL, content)
        return tuple(p for p in self.protocols if p in content)

    def details(self):
        """tuple[tuple[str, str]]: Each number and its table by class."""
        return ((self.score, 'per_class'), (self.secondary,
                                            f'per_class_{self.secondary}'))


DETECTION = Measure('AP', ('paper', 'coco'), 'AP50', 'AP', 'coco')
CLASSIFICATION = Measure('Acc', ('top1', 'margin'), 'Acc5', 'accuracy', 'top1')


def measure_of(content):
    """Tell what some numbers are by the protocols they hold.

    Args:
        content (dict): A report, one class set of a report, or what
            :func:`request_metrics` made of reports.

    Returns:
        Measure: :data:`DETECTION` or :data:`CLASSIFICATION`.

    Raises:
        ForgetError: If it is neither.
    """
    content = content.get(ALL, content)
    for measure in (DETECTION, CLASSIFICATION):
        if measure.protocols[0] in content:
            return measure
    raise ForgetError(
        'results hold neither the AP of a detector nor the accuracy of a '
        f'classifier, but {", ".join(map(str, content)) or "nothing"}; '
        'remove report.json, metrics.json and --resume to evaluate again')
