"""What a method config says before the method is built."""
from ..methods import ForgettingMethod
from ..registry import METHODS


def method_flag(method, name):
    """An attribute of the class of a method.

    Args:
        method (dict): Its config.
        name (str): A flag of
            :class:`~gslora_mm.methods.ForgettingMethod`, e.g. ``'trains'``.

    Returns:
        Any: Its value. That of the base class for a type that is not
        registered, which is reported when it is built.
    """
    kind = method.get('type')
    found = kind if isinstance(kind, type) else METHODS.get(str(kind))
    return getattr(found, name, getattr(ForgettingMethod, name))
