"""The ``forget.painting`` section: how objects are painted out."""
from ..datasets.painting import Painter
from ..utils import ForgetError
from .method_class import method_flag

PAINTING_KEYS = ('fill', 'margin', 'margin_ratio', 'radius', 'spare')


def read_painting(section, methods, task):
    """Read and check how the teacher's images are painted.

    Args:
        section (dict | None): ``forget.painting``, arguments of
            :class:`~gslora_mm.datasets.Painter`.
        methods (list[dict]): Method config of every request.
        task (Task): The kind of model.

    Returns:
        dict: The arguments; empty if no method asks for such images.

    Raises:
        ForgetError: If a value is out of range, or has no effect.
    """
    painters = [m for m in methods if method_flag(m, 'needs_painting')]
    if not painters:
        if section is not None and not task.has_boxes:
            raise ForgetError(
                'forget.painting has no effect: the images of a classifier '
                'have no boxes; remove it')
        if section is not None:
            raise ForgetError(
                'forget.painting has no effect: the method '
                f'{methods[0]["type"]} shows its teacher no painted images; '
                'remove it or set forget.method.type=CounterfactualTeacher')
        return {}
    if not task.has_boxes:
        raise ForgetError(
            f'{painters[0]["type"]} paints objects out of their boxes, and '
            'the images of a classifier have none; use another method')
    painter = Painter(**(section or {}))
    return {key: getattr(painter, key) for key in PAINTING_KEYS}
