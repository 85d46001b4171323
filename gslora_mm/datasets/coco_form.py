"""The form of COCO annotation files, checked before anybody trusts it."""
import itertools

from ..utils.errors import ForgetError
from ..utils.forms import NUMBER, check_form

_LISTS = dict(
    images={
        'id': (int, str),
        'file_name': str,
        'width': NUMBER,
        'height': NUMBER
    },
    annotations={
        'id?': (int, str),
        'image_id': (int, str),
        'category_id': (int, str),
        'bbox': [NUMBER],
        'area?': NUMBER,
        'iscrowd?': (int, bool)
    },
    categories={
        'id': (int, str),
        'name': str
    })
_IDS = dict(images='id', categories='id')
_LARGEST = 1e9


def check_coco_form(content, ann_file):
    """Check that every entry of an annotation file can be used.

    Args:
        content (object): What the file holds.
        ann_file (str): The file, for the message.

    Raises:
        ForgetError: Naming the first entry that is wrong: without a key, of
            a wrong type, not finite, or with an id that another one has.
    """
    check_form(content, {key: list for key in _LISTS}, ann_file)
    for name, form in _LISTS.items():
        fast = _SOUND.get(name)
        for place, entry in enumerate(content[name]):
            if fast is None or not fast(entry):
                check_form(entry, form, f'{name}[{place}] of {ann_file}')
                _check_box(entry, name, place, ann_file)
    for name, key in _IDS.items():
        _check_distinct(content[name], name, key, ann_file)


def _check_box(entry, name, place, ann_file):
    if name != 'annotations':
        return
    if len(entry['bbox']) != 4:
        raise ForgetError(
            f'annotation {entry.get("id", place)} of {ann_file} has no box '
            'of four numbers; repair or remove it')
    numbers = [*entry['bbox'], entry.get('area') or 0]
    if not all(-_LARGEST < v < _LARGEST for v in numbers):
        raise ForgetError(
            f'annotation {entry.get("id", place)} of {ann_file} has a box '
            'beyond any image; repair or remove it')


def _check_distinct(entries, name, key, ann_file):
    seen = {entry[key] for entry in entries}
    if len(seen) == len(entries):
        return
    known = set()
    double = next(e[key] for e in entries
                  if e[key] in known or known.add(e[key]))
    raise ForgetError(f'{ann_file} has the {key} {double!r} twice among its '
                      f'{name}; give each its own')


def _sound_annotation(entry):
    """Whether an annotation is as most are; millions are asked."""
    try:
        box = entry['bbox']
        return (type(box) is list and len(box) == 4 and all(
            type(v) in (int, float) and -_LARGEST < v < _LARGEST
            for v in itertools.chain(box, (entry['area'], )))
                and type(entry['id']) is int and type(entry['image_id']) is int
                and type(entry['category_id']) is int
                and type(entry.get('iscrowd', 0)) is int)
    except (KeyError, TypeError, AttributeError):
        return False


_SOUND = dict(annotations=_sound_annotation)
