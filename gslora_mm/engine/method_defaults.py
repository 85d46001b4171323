"""What a config leaves to the class of its method, which may change."""
import inspect
import json

from ..registry import METHODS

KEY = 'method_defaults'


def method_defaults(content):
    """Arguments of the method that a config does not give.

    Args:
        content (dict): A config, as plain containers.

    Returns:
        dict: Their defaults, as JSON has them; empty without a method, or
        of a type that is not registered, which is reported when it is built.
    """
    given = _given(content)
    found = METHODS.get(str(given.get('type')))
    if found is None:
        return {}
    left = {
        name: p.default
        for name, p in inspect.signature(found).parameters.items()
        if p.default is not p.empty and name not in given
    }
    return json.loads(json.dumps(left, default=str, sort_keys=True))


def with_arguments(old, old_defaults, new, new_defaults):
    """Two configs with what they leave to the class, to be compared.

    An argument that only one of them gives counts with the default that the
    other had. What the class of one has not heard of is left out.

    Args:
        old (dict): A config, as plain containers.
        old_defaults (dict | None): Its :func:`method_defaults`; None if
            nobody noted them.
        new (dict): Another one.
        new_defaults (dict): Its defaults.

    Returns:
        tuple[dict]: The two.
    """
    one, other = _given(old), _given(new)
    if old_defaults is None or one.get('type') != other.get('type'):
        return old, new
    one, other = {**old_defaults, **one}, {**new_defaults, **other}
    both = one.keys() & other.keys()
    return tuple(
        _with_method(content, {
            k: v
            for k, v in mine.items() if k in both or k in _given(content)
        }) for content, mine in ((old, one), (new, other)))


def _given(content):
    method = (content.get('forget') or {}).get('method')
    return method if isinstance(method, dict) else {}


def _with_method(content, method):
    if not isinstance(content.get('forget'), dict):
        return content
    return dict(content, forget=dict(content['forget'], method=method))
