"""Erasure requests: which classes go now, which went, which stay."""
import difflib
from dataclasses import dataclass, field

from ..utils.errors import ForgetError
from .class_orders import published_requests


@dataclass(frozen=True)
class Request:
    """One erasure request of a sequence.

    Args:
        index (int): Place in the sequence, from 1.
        classes (tuple[str]): Classes that this request forgets.
        forgotten (tuple[str]): Classes of all earlier requests.
        retain (tuple[str]): Classes that stay after this request.
        options (dict): Settings of this request alone, e.g. ``beta``.
    """
    index: int
    classes: tuple
    forgotten: tuple
    retain: tuple
    options: dict = field(default_factory=dict)

    @property
    def name(self):
        """str: Name of the request's folder, e.g. ``request_01``."""
        return f'request_{self.index:02d}'


def parse_requests(requests, classes, unseen=()):
    """Turn the ``requests`` of a config into a checked sequence.

    Args:
        requests (str | list): Name of a published split, or one item per
            request: a list of class names, one class name, or
            ``dict(classes=[...], **options)``.
        classes (Sequence[str]): All classes of the model, in label order.
        unseen (Sequence[str]): Classes that no request trains with; they
            stay, and a published split of 100 classes leaves them out where
            there are more than 100.

    Returns:
        list[Request]: The requests in order.

    Raises:
        ForgetError: If a class is unknown or requested twice, a request or
            the list is empty, no class would stay, or a type is wrong.
    """
    if isinstance(requests, str):
        # Of the 1,000 classes of ImageNet, those that are shown may be 100;
        # of 100 classes, those that are not shown keep their places.
        seen = [c for c in classes if c not in unseen]
        requests = published_requests(requests,
                                      classes if len(classes) == 100 else seen)
    if not isinstance(requests, (list, tuple)):
        raise ForgetError(
            'requests must be a list with the classes of each request or the '
            f'name of a published split, not {type(requests).__name__}')
    if not requests:
        raise ForgetError(
            'requests is empty; list the class names of at least one request')
    check_class_names(unseen, classes, 'the list of unseen classes')
    parsed, taken = [], {}
    for index, item in enumerate(requests, 1):
        names, options = _split_item(item, index)
        check_class_names(names, classes, f'request {index}')
        _refuse_unseen(names, unseen, index)
        forgotten = tuple(taken)
        _claim(names, index, taken)
        retain = tuple(c for c in classes if c not in taken)
        if not set(retain) - set(unseen):
            rest = ' or are unseen' if unseen else ''
            raise ForgetError(
                f'after request {index} all {len(classes)} classes would be '
                f'forgotten{rest}; leave out at least one class that stays')
        parsed.append(Request(index, names, forgotten, retain, options))
    return parsed


def check_class_names(names, classes, where):
    """Check that every name is a class.

    Args:
        names (Iterable[str]): Names to check.
        classes (Sequence[str]): The valid names.
        where (str): Who names them, for the message, e.g. 'request 2'.

    Raises:
        ForgetError: At the first unknown name, with the nearest valid ones.
    """
    for name in names:
        if name in classes:
            continue
        # ImageNet's names are lists of words for the same thing.
        folded = {
            form.strip().lower(): c
            for c in classes
            for form in (*c.split(','), c)
        }
        near = difflib.get_close_matches(str(name).lower(), folded, n=3)
        if near:
            found = dict.fromkeys(repr(folded[n]) for n in near)
            cure = f'did you mean {" or ".join(found)}?'
        else:
            some = ', '.join(list(classes)[:10])
            more = ', ...' if len(classes) > 10 else ''
            cure = f'the {len(classes)} classes are {some}{more}'
        raise ForgetError(f'{where} names an unknown class {name!r}; {cure}')


def _split_item(item, index):
    """Class names and options of one item of ``requests``."""
    options = {}
    if isinstance(item, dict):
        options = {k: v for k, v in item.items() if k != 'classes'}
        if 'classes' not in item:
            raise ForgetError(f"request {index} has no key 'classes'; write "
                              'dict(classes=[...])')
        item = item['classes']
    if isinstance(item, str):
        item = [item]
    if not isinstance(item, (list, tuple)) or not all(
            isinstance(name, str) for name in item):
        raise ForgetError(
            f'request {index} is {item!r}; it must be a class name, a list '
            'of class names or dict(classes=[...], ...)')
    if not item:
        raise ForgetError(
            f'request {index} is empty; name at least one class or remove it')
    return tuple(item), options


def _refuse_unseen(names, unseen, index):
    for name in names:
        if name in unseen:
            raise ForgetError(
                f'request {index} forgets class {name!r}, which is listed as '
                'unseen: training would have no images of it; remove it from '
                'one of the two')


def _claim(names, index, taken):
    """Enter ``names`` into ``taken`` (name to request), each only once."""
    for name in names:
        if taken.get(name) == index:
            raise ForgetError(
                f'request {index} names class {name!r} twice; remove one')
        if name in taken:
            raise ForgetError(
                f'class {name!r} is in request {taken[name]} and in request '
                f'{index}; a class is forgotten once, remove one')
        taken[name] = index
